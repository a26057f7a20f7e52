"""Asks a server through the official OpenAI SDK and says, line by line, what the SDK made of it."""

import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-none", max_retries=0, timeout=10)
USER = [{"role": "user", "content": "Begin."}]


def tool(name):
    schema = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
    return {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}


def streamed(tools):
    """The SDK's own accumulator, which checks what it puts together."""
    options = {"tools": [tool(name) for name in tools]} if tools else {}
    with client.chat.completions.stream(
        model="m", messages=USER, stream_options={"include_usage": True}, **options
    ) as stream:
        pieces = sum(1 for event in stream if event.type == "content.delta")
        completion = stream.get_final_completion()
    choice = completion.choices[0]
    calls = [
        [call.id, call.function.name, json.loads(call.function.arguments or "{}")]
        for call in choice.message.tool_calls or []
    ]
    usage = completion.usage
    return {
        "text": choice.message.content,
        "pieces": pieces,
        "calls": calls,
        "finish": choice.finish_reason,
        "usage": [usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens],
    }


def document():
    completion = client.chat.completions.create(model="m", messages=USER)
    return {"text": completion.choices[0].message.content, "finish": completion.choices[0].finish_reason}


def attempt(work):
    try:
        return work()
    except openai.APIStatusError as error:
        wait = error.response.headers.get("retry-after")
        return {"raised": type(error).__name__, "code": error.code, "retry_after": wait}
    except Exception as error:  # whatever the SDK lets through is what its users see
        return {"raised": type(error).__name__}


plan = [lambda tools=tools: streamed(tools) for tools in json.loads(sys.argv[2])]
for work in [*plan, document]:
    print(json.dumps(attempt(work), ensure_ascii=False, sort_keys=True))
