//! What the hundred do: their models and their tools.

use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use actors::model::{EffectClass, ModelRequest, Place, Reply, ToolSpec};
use actors::provider::{Delta, DeltaSink, Provider, ProviderError, minted_call_id, turn};
use actors::tool::{Invocation, Tool, ToolError};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};

use super::cast::{Manner, members};
use super::watch::Watch;

/// The model of everybody.
pub(crate) struct Player {
    pub(crate) watch: Watch,
    pub(crate) random: Mutex<fastrand::Rng>,
    /// When the lead delegates no more.
    pub(crate) until: Instant,
    /// Where runs are named whose actors are to be killed.
    pub(crate) prey: UnboundedSender<String>,
}

/// One call of a model.
struct Call<'a, 'b> {
    player: &'a Player,
    request: &'a ModelRequest,
    deltas: &'b mut (dyn FnMut(Delta) + Send),
    manner: Manner,
    turn: usize,
    /// Which try of this turn it is.
    attempt: usize,
}

impl Provider for Player {
    fn kind(&self) -> &'static str {
        "hundred"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        async move {
            let (manner, turn) = (Manner::of(&request.agent), turn(&request.messages));
            let attempt = self.watch.attempt(&request.run.to_string(), manner, turn);
            let call = Call {
                player: self,
                request,
                deltas,
                manner,
                turn,
                attempt,
            };
            Ok(call.make().await)
        }
        .boxed()
    }
}

/// The number of the round that a brief belongs to.
fn round(brief: &str) -> usize {
    let number = brief.rsplit(' ').next();
    number.and_then(|it| it.parse().ok()).unwrap_or_default()
}

impl Call<'_, '_> {
    fn part(&self, part: f64) -> Duration {
        self.player.watch.limit().mul_f64(part)
    }

    fn drawn(&self, from: f64, to: f64) -> f64 {
        let mut random = self.player.random.lock().expect("nobody panics with it");
        from + (to - from) * random.f64()
    }

    async fn tokens(&mut self, count: usize, pause: Duration) {
        for _ in 0..count {
            sleep(pause).await;
            (self.deltas)(Delta::Text("and ".to_owned()));
        }
    }

    async fn hang(&mut self) -> ! {
        let _hangs = self
            .player
            .watch
            .hangs(&self.request.run.to_string(), self.manner);
        pending::<()>().await;
        unreachable!("it never ends")
    }

    fn says(&self, tool: &str, args: Value) -> Reply {
        Reply::new("").calling(minted_call_id(self.request, 0), tool, args)
    }

    async fn make(mut self) -> Reply {
        use Manner as M;
        let (is_first, is_first_turn) = (self.attempt == 1, self.turn == 0);
        match self.manner {
            M::Lead => return self.lead(),
            M::HangsOnce if is_first => self.hang().await,
            M::HangsAlways => self.hang().await,
            M::FallsSilent if is_first => {
                self.tokens(3, self.part(0.1)).await;
                self.hang().await
            }
            M::SlowModel => {
                for _ in 0..3 {
                    let pause = self.part(self.drawn(0.8, 0.9));
                    self.tokens(1, pause).await;
                }
                return Reply::new("slowly");
            }
            M::ProviderPanics if is_first => {
                self.tokens(2, self.part(0.1)).await;
                panic!("the provider of {} panics on purpose", self.request.agent)
            }
            M::RunKilled if is_first => {
                self.tokens(2, self.part(0.1)).await;
                let _ = self.player.prey.send(self.request.run.to_string());
            }
            M::BlocksBriefly | M::BlocksLong if is_first => self.block().await,
            _ => {}
        }
        self.tokens(5, self.part(0.1)).await;
        let call = self.tool_call().filter(|_| is_first_turn || self.goes_on());
        call.unwrap_or_else(|| Reply::new(format!("done by {}", self.request.agent)))
    }

    /// Whether it calls a tool in every turn.
    fn goes_on(&self) -> bool {
        match self.manner {
            Manner::Loops => true,
            Manner::Steady | Manner::SlowTool => self.turn < 2,
            _ => false,
        }
    }

    fn tool_call(&self) -> Option<Reply> {
        use Manner as M;
        let ms = |time: Duration| json!({ "ms": u64::try_from(time.as_millis()).unwrap_or(0) });
        Some(match self.manner {
            // Whoever hangs hears of it, which is no progress.
            M::Steady if self.turn == 0 => {
                self.says("post_message", json!({ "content": "I am getting on" }))
            }
            M::Steady => self.says("work", ms(self.part(0.1))),
            M::SlowTool => self.says("work", ms(self.part(self.drawn(0.8, 0.9)))),
            M::Loops => self.says("work", json!({ "ms": 1 })),
            M::ToolHangs => self.says("stick", json!({})),
            M::ToolHangsInDoubt => self.says("stick_outside", json!({})),
            M::ToolPanics => self.says("stumble", json!({})),
            M::ToolBlocksBriefly | M::ToolBlocksLong => {
                let (part, _) = self.blocks_now()?;
                self.says("grind", ms(self.part(part)))
            }
            _ => return None,
        })
    }

    fn blocks_now(&self) -> Option<(f64, usize)> {
        let now = round(&self.request.brief) % 2;
        self.manner.blocks().filter(|(_, turn)| *turn == now)
    }

    async fn block(&mut self) {
        if let Some((part, _)) = self.blocks_now() {
            let tokens = self.drawn(1.0, 15.0) as usize;
            self.tokens(tokens, self.part(0.1)).await;
            // The actor whose future this is.
            self.player
                .watch
                .block(&self.request.agent, self.part(part));
        }
    }

    fn lead(&self) -> Reply {
        if Instant::now() >= self.player.until {
            return Reply::new(format!("{} rounds", self.turn));
        }
        let brief = format!("do your part of round {}", self.turn);
        let mut reply = Reply::new("");
        for (n, agent) in members().into_iter().enumerate() {
            let args = json!({ "agent": agent, "input": brief });
            reply = reply.calling(minted_call_id(self.request, n), "create_run", args);
        }
        reply
    }
}

/// A tool of the hundred.
pub(crate) struct Prop {
    name: &'static str,
    effect: EffectClass,
    watch: Watch,
}

/// The names of the tools, and what a crash may do to their effects.
pub(crate) const PROPS: [(&str, EffectClass); 5] = [
    ("work", EffectClass::Pure),
    ("stick", EffectClass::Pure),
    ("stick_outside", EffectClass::Once),
    ("stumble", EffectClass::Pure),
    ("grind", EffectClass::Pure),
];

impl Prop {
    pub(crate) fn new((name, effect): (&'static str, EffectClass), watch: &Watch) -> Self {
        let watch = watch.clone();
        Self {
            name,
            effect,
            watch,
        }
    }

    async fn act(&self, call: &Invocation) -> String {
        let time = Duration::from_millis(call.args["ms"].as_u64().unwrap_or(0));
        let (run, manner) = (call.run.to_string(), Manner::of(call.agent.as_str()));
        let is_first = call.epoch == 1;
        match self.name {
            "stick" | "stick_outside" => {
                let _hangs = self.watch.hangs(&run, manner);
                pending::<()>().await;
            }
            "stumble" if is_first => panic!("the tool of {run} panics on purpose"),
            "grind" if is_first => self.watch.block(&run, time),
            "work" => sleep(time).await,
            _ => {}
        }
        "the same as ever".to_owned()
    }
}

impl Tool for Prop {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.to_owned(),
            description: "a tool".to_owned(),
            parameters: json!({ "type": "object" }),
            effect: self.effect,
            place: Place::Node,
        }
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        async move { Ok(self.act(&call).await) }.boxed()
    }
}
