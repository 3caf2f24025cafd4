//! A vote, from what a client sent to what was picked.

use emojivoto_proto::Shortcode;
use serde::Deserialize;
use tonic::Code;

use crate::{error::Error, upstream::Upstreams};

/// Longer than any shortcode; what is longer is not worth a call.
const MAX_CHOICE_BYTES: usize = 64;

/// The parameter that names an emoji, wherever it stands.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Ballot {
    pub(crate) choice: Option<String>,
}

impl Ballot {
    /// The choice, if it is one at all. Whether there is such an emoji, emoji-svc decides.
    pub(crate) fn choice(&self) -> Result<&str, Error> {
        match self.choice.as_deref() {
            None | Some("") => Err(Error::ChoiceMissing),
            Some(choice) if choice.len() > MAX_CHOICE_BYTES => {
                Err(Error::ChoiceTooLong { length: choice.len(), max: MAX_CHOICE_BYTES })
            }
            Some(choice) => Ok(choice),
        }
    }

    /// Casts the vote: asks emoji-svc whether it is an emoji, then votes for it.
    pub(crate) async fn cast(&self, upstreams: &Upstreams) -> Result<Shortcode, Error> {
        let choice = self.choice()?;
        let unknown = || Error::ChoiceUnknown(choice.to_owned());
        let emoji = upstreams.find(choice).await?.ok_or_else(unknown)?;
        let emoji: Shortcode = emoji.shortcode.parse().map_err(|_| unknown())?;
        upstreams.vote(emoji).await.map_err(|error| match error.code {
            Code::Unknown if emoji == Shortcode::doughnut() => Error::BrokenOnPurpose(error),
            _ => error.into(),
        })?;
        Ok(emoji)
    }
}
