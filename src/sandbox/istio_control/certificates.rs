//! The certificates of a cluster's workloads: made once per identity, renewed at half their life, made anew under a new
//! authority. What comes in: an authority, identities, the time. What goes out: Envoy's secrets.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::envoy::config;
use crate::pki::{self, Algorithm, Cacerts, Key, chained, issue_workload};
use crate::routing::Identity;

/// Istio's life of a workload's certificate.
const VALIDITY: SignedDuration = SignedDuration::from_hours(24);

/// What was made so far.
#[derive(Default)]
pub struct Certificates {
    authority: String,
    made: BTreeMap<String, (Timestamp, BTreeMap<String, Value>)>,
}

impl Certificates {
    /// Follows an authority: another one makes all certificates anew. So do other roots to trust.
    pub fn follow(&mut self, authority: &Cacerts) {
        let now = format!("{}{}", authority.chain, authority.roots);
        if self.authority != now {
            self.authority = now;
            self.made.clear();
        }
    }

    /// Envoy's secrets for an identity.
    pub fn secrets(
        &mut self,
        authority: &Cacerts,
        spiffe: &str,
        now: Timestamp,
    ) -> Result<BTreeMap<String, Value>, pki::Error> {
        if let Some((renew, secrets)) = self.made.get(spiffe)
            && *renew > now
        {
            return Ok(secrets.clone());
        }
        let key = Key::generate(Algorithm::EcdsaP256)?;
        let leaf = issue_workload(&authority.authority, spiffe, key, now, VALIDITY, rand::random())?;
        let chain = chained(&leaf.certificate, &authority.chain)?;
        let mut secrets = BTreeMap::new();
        if let Identity::Pem(pem) = Identity::new(chain, leaf.key.pem().as_str()) {
            secrets = config::secrets(&pem, &authority.roots);
        }
        self.made.insert(spiffe.to_string(), (now + VALIDITY / 2, secrets.clone()));
        Ok(secrets)
    }

    /// Whether some certificate should be renewed by now.
    pub fn due(&self, now: Timestamp) -> bool {
        self.made.values().any(|(renew, _)| *renew <= now)
    }
}
