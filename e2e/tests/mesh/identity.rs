//! Who is who: certificates by ServiceAccount, as a mesh issues them.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    string::Ia5String,
};
use serde_json::{Value, json};

/// The authority of a mesh.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The name of a ServiceAccount in its certificate. It is Istio's; Linkerd has one of another form.
pub(crate) fn identity(service_account: &str) -> String {
    format!("spiffe://cluster.local/ns/emojivoto/sa/{service_account}")
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than those that it issues for have, or they would be taken for self-signed.
        parameters.distinguished_name.push(DnType::CommonName, "the mesh");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(parameters, key).expect("an authority"))
    }

    /// What one end of a connection shows, and whom it trusts.
    pub(crate) fn context(&self, service_account: &str) -> Value {
        let key = KeyPair::generate().expect("a key");
        let name = Ia5String::try_from(identity(service_account)).expect("ASCII");
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![SanType::URI(name)];
        let certificate = parameters.signed_by(&key, &self.0).expect("a certificate");
        json!({
            "tls_certificates": [{
                "certificate_chain": {"inline_string": certificate.pem()},
                "private_key": {"inline_string": key.serialize_pem()},
            }],
            "validation_context": {"trusted_ca": {"inline_string": self.0.pem()}},
        })
    }
}
