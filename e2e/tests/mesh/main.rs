//! What the drills say of meshes, shown by a real Envoy between real services.
//!
//! The manifests are the repository's own, rendered and translated ([`translation`]), and so are the changes that a drill makes
//! to them ([`drill`]). So what these tests hold is what the manifests mean to that proxy, not what the control planes of
//! Linkerd and Istio make of them. Of what Envoy does, Linkerd's own proxy does differently:
//!
//! - a request that matches no route ends with `NOT_FOUND`; here, and with Istio, with `UNIMPLEMENTED`. Of both, web makes a 500;
//! - a time-out ends with `DEADLINE_EXCEEDED`, of which web makes a 504; here, and with Istio, with `UNAVAILABLE`, a 503;
//! - a pod that was left out gets one request to try it, and all others only after that; here it is simply taken back;
//! - of several pods, those that were fast lately are preferred; here, of two by chance, the one with fewer calls in flight;
//! - where all pods are gone, calls are held for some seconds; here they end at once;
//! - a rate limit lets in evenly what it lets in; here, each second begins anew.
//!
//! And everybody here has a certificate: who comes from outside of the mesh, probes, and what is let in without, are not shown.

mod break_it_on_purpose;
mod drill;
mod envoy;
mod find_the_failing_vote;
mod identity;
mod objects;
mod one_of_three;
mod relay;
mod release_to_a_few;
mod retry_without_harm;
mod suite;
mod too_many_votes;
mod translation;
mod untranslated;
mod when_one_is_slow;
mod who_may_vote;
