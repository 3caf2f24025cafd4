//! Where faults can happen: the RPCs and routes of the suite, told by whoever has them.

/// An RPC or a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// An RPC of a gRPC service: `emojivoto.v1.VotingService`, `VoteJoy`.
    Rpc {
        /// The full name of the service.
        service: &'static str,
        /// The name of the method.
        method: &'static str,
    },
    /// The template of the address: `/api/vote`.
    Route(&'static str),
}

impl Place {
    /// What rules call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rpc { method, .. } => method,
            Self::Route(route) => route,
        }
    }

    /// Whether it is an RPC.
    pub fn is_rpc(self) -> bool {
        matches!(self, Self::Rpc { .. })
    }
}

/// Whether a request for a place is about an emoji.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// It is not.
    Nothing,
    /// Always about this one.
    Emoji(&'static str),
    /// About the one that the request chooses.
    Choice,
}

/// All places of a suite, and the emoji that there are.
#[derive(Debug, Clone, Default)]
pub struct Places {
    all: Vec<(Place, About)>,
    emoji: Vec<&'static str>,
}

impl Places {
    /// These, in the order in which they are to be shown.
    pub fn new(all: Vec<(Place, About)>, emoji: Vec<&'static str>) -> Self {
        Self { all, emoji }
    }

    /// Each with what requests for it are about.
    pub fn iter(&self) -> impl Iterator<Item = (Place, About)> {
        self.all.iter().copied()
    }

    /// Whether there is such an emoji.
    pub(crate) fn has_emoji(&self, shortcode: &str) -> bool {
        self.emoji.contains(&shortcode)
    }
}
