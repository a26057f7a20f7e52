//! Where in its tree a child is.

use std::sync::{Arc, OnceLock};

use crate::spec::ChildId;

/// The path of one incarnation, put together when somebody asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    supervisor: Option<Arc<str>>,
    child: ChildId,
    whole: OnceLock<Arc<str>>,
}

impl Path {
    pub(crate) fn root(name: &Arc<str>) -> Self {
        Self {
            supervisor: None,
            child: (&**name).into(),
            whole: name.clone().into(),
        }
    }

    pub(crate) fn below(supervisor: &Arc<str>, child: &ChildId) -> Self {
        Self {
            supervisor: Some(supervisor.clone()),
            child: child.clone(),
            whole: OnceLock::new(),
        }
    }

    pub(crate) fn whole(&self) -> &Arc<str> {
        self.whole.get_or_init(|| match &self.supervisor {
            Some(supervisor) => format!("{supervisor}/{}", self.child).into(),
            None => self.child.as_str().into(),
        })
    }
}
