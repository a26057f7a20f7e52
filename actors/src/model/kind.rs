//! The names of events, and what each kind of event needs.

use super::event::EventBody;

impl EventBody {
    /// Its name in the event stream: the value of `type` when it is serialized.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TaskCreated { .. } => "task_created",
            Self::TaskMessage { .. } => "task_message",
            Self::TopologyChanged { .. } => "topology_changed",
            Self::TaskNeedsAttention { .. } => "task_needs_attention",
            Self::TaskResumed { .. } => "task_resumed",
            Self::TaskCompleted { .. } => "task_completed",
            Self::TaskFailed { .. } => "task_failed",
            Self::TaskCancelled { .. } => "task_cancelled",
            Self::TaskReopened => "task_reopened",
            Self::RunQueued { .. } => "run_queued",
            Self::RunStarted => "run_started",
            Self::RunRestarted { .. } => "run_restarted",
            Self::PeerDecided { .. } => "peer_decided",
            Self::RunWaiting { .. } => "run_waiting",
            Self::RunResumed { .. } => "run_resumed",
            Self::RunRetrying { .. } => "run_retrying",
            Self::RunCompleted { .. } => "run_completed",
            Self::RunFailed { .. } => "run_failed",
            Self::RunCancelled { .. } => "run_cancelled",
            Self::RunQuarantined { .. } => "run_quarantined",
            Self::RunReleased => "run_released",
            Self::RunContinued { .. } => "run_continued",
            Self::RunProgress { .. } => "run_progress",
            Self::Message { .. } => "message",
            Self::ModelCallStarted { .. } => "model_call_started",
            Self::ModelCallInterrupted { .. } => "model_call_interrupted",
            Self::ModelCallCompleted { .. } => "model_call_completed",
            Self::ToolCallStarted { .. } => "tool_call_started",
            Self::ToolCallCompleted { .. } => "tool_call_completed",
            Self::ToolCallInDoubt { .. } => "tool_call_in_doubt",
            Self::ToolCallResolved { .. } => "tool_call_resolved",
            Self::ToolCallLate { .. } => "tool_call_late",
            Self::AgentState { .. } => "agent_state",
            Self::FaultInjected { .. } => "fault_injected",
            Self::SupervisorRestart { .. } => "supervisor_restart",
            Self::SupervisorGaveUp { .. } => "supervisor_gave_up",
            Self::BreakerOpened { .. } => "breaker_opened",
            Self::BreakerClosed { .. } => "breaker_closed",
            Self::BudgetExceeded { .. } => "budget_exceeded",
            Self::BudgetRaised { .. } => "budget_raised",
            Self::Alert { .. } => "alert",
        }
    }

    /// Whether it is about one run and means nothing without it.
    #[must_use]
    pub fn needs_run(&self) -> bool {
        !matches!(
            self,
            Self::TaskCreated { .. }
                | Self::TaskMessage { .. }
                | Self::TopologyChanged { .. }
                | Self::TaskNeedsAttention { .. }
                | Self::TaskResumed { .. }
                | Self::TaskCompleted { .. }
                | Self::TaskFailed { .. }
                | Self::TaskCancelled { .. }
                | Self::TaskReopened
                | Self::AgentState { .. }
                | Self::SupervisorRestart { .. }
                | Self::SupervisorGaveUp { .. }
                | Self::BreakerOpened { .. }
                | Self::BreakerClosed { .. }
                | Self::BudgetExceeded { .. }
                | Self::BudgetRaised { .. }
                | Self::Alert { .. }
                | Self::FaultInjected { .. }
        )
    }
}
