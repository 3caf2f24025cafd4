//! Where in the suite faults can happen.

use emojivoto_faults::{About, Place, Places};
use emojivoto_proto::{ROUTES, Shortcode, VOTE_API, VOTE_PAGE, emoji, voting};

/// All RPCs and routes of the suite: one set of rules is for all services, whichever of them a process is.
pub fn places() -> Places {
    let of_emoji = ["ListAll", "FindByShortcode"]
        .map(|method| (Place::Rpc { service: emoji::SERVICE_NAME, method }, About::Nothing));
    let of_voting = voting::Method::all().map(|method| {
        let place = Place::Rpc { service: voting::SERVICE_NAME, method: method.name() };
        match method {
            voting::Method::Vote(emoji) => (place, About::Emoji(emoji.as_str())),
            voting::Method::Results => (place, About::Nothing),
        }
    });
    let of_web = ROUTES.iter().map(|route| {
        let votes = [VOTE_PAGE, VOTE_API].contains(route);
        (Place::Route(route), if votes { About::Choice } else { About::Nothing })
    });
    let all = of_emoji.into_iter().chain(of_voting).chain(of_web).collect();
    Places::new(all, Shortcode::all().map(Shortcode::as_str).collect())
}
