//! What a fleet needs, made and kept: a root, then everyone's certificates under it. What comes in: a fleet, a store,
//! wishes. What goes out: files, and rows that tell of them. Shared by `generate` and `rotate`; no command itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use super::generate::Row;
use super::store::Store;
use crate::error::{Exit, Failure};
use crate::model::fleet::Fleet;
use crate::model::identity;
use crate::model::problem::Severity;
use crate::pki::{self, Algorithm, Intermediate, Issued, Key, Party, Role};

/// Where the root comes from.
#[derive(Clone, Debug)]
pub enum Root {
    /// The one that is there; a new one when there is none.
    Keep,
    /// A new one.
    New,
    /// The user's: certificate and key.
    Brought(PathBuf, PathBuf),
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Algorithm of new keys.
    pub algorithm: Algorithm,
    /// Days that leaves are valid.
    pub days: u32,
    /// Days that a new root is valid.
    pub root_days: u32,
    /// Issue everything anew.
    pub renew: bool,
    /// The root.
    pub root: Root,
}

/// A root: its key may lie elsewhere as long as nothing must be signed.
struct Ready {
    certificate: String,
    key: Option<Key>,
    is_new: bool,
}

/// Makes what is missing or no good, and keeps the rest.
pub fn make(fleet: &Fleet, parties: &BTreeSet<Party>, store: &Store, wish: &Wish, now: Timestamp) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let root = root(fleet, store, wish, now, &mut rows)?;
    let (below, above): (Vec<&Party>, Vec<&Party>) = parties.iter().partition(|p| p.role == Role::MeshIdentity);
    let mut by_party: BTreeMap<&Party, (Issued, Row)> = BTreeMap::new();
    let made = stage(fleet, store, wish, &root, &above, now, &|_| Ok(None))?;
    by_party.extend(made);
    // An identity in a mesh comes from the mesh's own authority, which may be new.
    let authority = |party: &Party| {
        let ca = by_party.iter().find(|(p, _)| p.cluster == party.cluster && p.role == Role::IstioCa);
        let (ca, _) = ca.map(|(_, made)| made).ok_or_else(|| {
            Failure::because(Exit::Input, format!("{} has no authority of its mesh", party.cluster))
        })?;
        let key = Key::read(&ca.key.pem()).map_err(failed)?;
        Ok(Some(Issued { certificate: ca.certificate.clone(), key }))
    };
    let made = stage(fleet, store, wish, &root, &below, now, &authority)?;
    by_party.extend(made);
    rows.extend(parties.iter().filter_map(|p| by_party.remove(p)).map(|(_, row)| row));
    Ok(rows)
}

type Signer<'a> = dyn Fn(&Party) -> Result<Option<Issued>, Failure> + 'a;

/// One generation of certificates: kept, or issued by the root or by what `signer` names, and written.
fn stage<'a>(
    fleet: &Fleet,
    store: &Store,
    wish: &Wish,
    root: &Ready,
    parties: &[&'a Party],
    now: Timestamp,
    signer: &Signer<'_>,
) -> Result<BTreeMap<&'a Party, (Issued, Row)>, Failure> {
    let mut done = BTreeMap::new();
    let mut needed: Vec<(&Party, Option<String>, Option<Issued>)> = Vec::new();
    for party in parties.iter().copied() {
        let signer = signer(party)?;
        let old = store.read(&store.paths(party))?;
        let why = match old {
            None => None,
            Some(_) if root.is_new || wish.renew => Some("asked for".to_string()),
            Some(old) => {
                let name = party.pinned(fleet);
                let kept = pki::keeps(party.role, &name, &old.certificate, &old.key, &root.certificate, now);
                let stale = signer.as_ref().is_some_and(|s| !below(&old.certificate, &s.certificate));
                match kept {
                    Ok(()) if !stale => {
                        done.insert(party, row(store, party, old, "kept", None)?);
                        continue;
                    }
                    Ok(()) => Some("the authority of its mesh is new".to_string()),
                    Err(findings) => Some(first_error(&findings)),
                }
            }
        };
        needed.push((party, why, signer));
    }
    if needed.is_empty() {
        return Ok(done);
    }
    let Some(root_key) = &root.key else {
        let why = format!("{} is missing, so nothing new can be signed", store.root_paths().1.display());
        return Err(Failure::because(Exit::Input, why).hint("bring it back, or start over with --renew-root"));
    };
    let by_root = Issued { certificate: root.certificate.clone(), key: Key::read(&root_key.pem()).map_err(failed)? };
    for ((party, why, signer), key) in needed.into_iter().zip(keys(wish.algorithm, parties.len())) {
        let signer = signer.as_ref().unwrap_or(&by_root);
        let issued = one(fleet, party, key.map_err(failed)?, signer, wish.days, now)?;
        store.write(&store.paths(party), &issued)?;
        let result = if why.is_some() { "renewed" } else { "created" };
        done.insert(party, row(store, party, issued, result, why)?);
    }
    Ok(done)
}

fn one(fleet: &Fleet, party: &Party, key: Key, signer: &Issued, days: u32, now: Timestamp) -> Result<Issued, Failure> {
    let serial = rand::random();
    let cluster = fleet.clusters.get(&party.cluster);
    let issued = match party.role {
        Role::Server | Role::Client => pki::issue_leaf(&fleet.name, party, key, signer, now, days, serial),
        Role::IstioCa => {
            let istio = cluster.and_then(|c| c.istio.as_ref());
            let whom = Intermediate {
                fleet: &fleet.name,
                cluster: &party.cluster,
                trust_domain: cluster.map_or(crate::model::mesh::TRUST_DOMAIN, |c| c.trust_domain()),
                namespace: istio.map_or("istio-system", |i| i.namespace.as_str()),
            };
            pki::issue_intermediate(&whom, key, signer, now, days, serial)
        }
        Role::MeshIdentity => {
            let validity = jiff::SignedDuration::from_hours(24 * i64::from(days));
            let leaf = pki::issue_workload(signer, &party.pinned(fleet), key, now, validity, serial);
            leaf.and_then(|leaf| {
                let certificate = pki::chained(&leaf.certificate, &signer.certificate)?;
                Ok(Issued { certificate, ..leaf })
            })
        }
    };
    issued.map_err(|e| {
        let hint = matches!(e, pki::Error::NoRoomBelow).then_some("`failctl certs rotate --begin` replaces it without an outage");
        let failure = failed(e);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// Whether a chain goes through this very authority.
fn below(chain: &str, authority: &str) -> bool {
    let ders = |t: &str| pki::certificates(t).unwrap_or_default();
    ders(authority).first().is_some_and(|a| ders(chain).contains(a))
}

/// Keys are made side by side: one of 4096 bits takes half a second.
fn keys(algorithm: Algorithm, count: usize) -> Vec<Result<Key, pki::Error>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    std::thread::scope(|scope| {
        let share = count.div_ceil(workers).max(1);
        let shares = (0..count).step_by(share).map(|from| share.min(count - from));
        let running: Vec<_> = shares
            .map(|n| scope.spawn(move || (0..n).map(|_| Key::generate(algorithm)).collect::<Vec<_>>()))
            .collect();
        running.into_iter().flat_map(|r| r.join().unwrap_or_default()).collect()
    })
}

fn root(fleet: &Fleet, store: &Store, wish: &Wish, now: Timestamp, rows: &mut Vec<Row>) -> Result<Ready, Failure> {
    let paths = store.root_paths();
    let old = store.text(&paths.0)?;
    let mut tell = |result: &'static str, certificate: &str| -> Result<(), Failure> {
        let why = (result == "renewed").then(|| "asked for".to_string());
        rows.push(Row { result, cluster: None, role: "root", file: paths.0.clone(), not_after: not_after(certificate)?, why });
        Ok(())
    };
    let issued = match (&wish.root, &old) {
        (Root::Keep, Some(certificate)) => {
            usable(fleet, store, certificate, now)?;
            tell("kept", certificate)?;
            let key = store.read(&paths)?.map(|i| i.key);
            return Ok(Ready { certificate: certificate.to_string(), key, is_new: false });
        }
        (Root::Brought(certificate, key), _) => {
            let given = given(fleet, certificate, key, now)?;
            if let Some(old) = &old
                && !wish.renew
            {
                if pki::trusts(old, &given.certificate).map_err(failed)? {
                    tell("kept", old)?;
                    return Ok(Ready { certificate: given.certificate, key: Some(given.key), is_new: false });
                }
                let why = format!("{} is another root than {}", paths.0.display(), certificate.display());
                let hint = "`failctl certs rotate --begin --root-cert … --root-key …` replaces it without an outage; \
                            --renew-root starts over at once";
                return Err(Failure::because(Exit::Input, why).hint(hint));
            }
            given
        }
        (Root::New | Root::Keep, _) => {
            let key = Key::generate(wish.algorithm).map_err(failed)?;
            pki::issue_root(&fleet.name, key, now, wish.root_days, rand::random()).map_err(failed)?
        }
    };
    store.write(&paths, &issued)?;
    tell(if old.is_some() { "renewed" } else { "created" }, &issued.certificate)?;
    Ok(Ready { certificate: issued.certificate, key: Some(issued.key), is_new: true })
}

/// Whether the root that is there is this fleet's (or the user's own) and alive.
fn usable(fleet: &Fleet, store: &Store, certificate: &str, now: Timestamp) -> Result<(), Failure> {
    let facts = facts(certificate)?;
    let ours = format!("CN={}", identity::root(""));
    let expected = format!("CN={}", identity::root(&fleet.name));
    let path = store.root_paths().0;
    let why = if facts.subject.starts_with(ours.trim_end()) && facts.subject != expected {
        Some(format!("{} is `{}`, not the root of fleet `{}`", path.display(), facts.subject, fleet.name))
    } else if now > facts.not_after {
        Some(format!("the root expired on {}", facts.not_after.strftime("%Y-%m-%d")))
    } else {
        None
    };
    match why {
        Some(why) => {
            Err(Failure::because(Exit::Input, why).hint("start over with --renew-root, or name another --dir"))
        }
        None => Ok(()),
    }
}

fn given(fleet: &Fleet, certificate: &std::path::Path, key: &std::path::Path, now: Timestamp) -> Result<Issued, Failure> {
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(|e| {
            Failure::new(Exit::Input, anyhow::Error::new(e).context(format!("reading {}", path.display())))
        })
    };
    let (text, secret) = (read(certificate)?, read(key)?);
    let meshes = fleet.clusters.values().any(|c| c.istio.is_some());
    let names = (certificate.display().to_string(), key.display().to_string());
    Ok(pki::brought(&text, &secret, meshes, (&names.0, &names.1), now)?)
}

fn row(
    store: &Store,
    party: &Party,
    issued: Issued,
    result: &'static str,
    why: Option<String>,
) -> Result<(Issued, Row), Failure> {
    let file = store.paths(party).0;
    let not_after = not_after(&issued.certificate)?;
    let row = Row { result, cluster: Some(party.cluster.to_string()), role: party.role.as_str(), file, not_after, why };
    Ok((issued, row))
}

fn first_error(findings: &[pki::Finding]) -> String {
    let worst = findings.iter().find(|f| f.severity == Severity::Error).or_else(|| findings.first());
    worst.map_or_else(String::new, |f| f.what.clone())
}

fn facts(certificate: &str) -> Result<pki::Facts, Failure> {
    let all = pki::certificates(certificate).map_err(failed)?;
    pki::facts(&all[0]).map_err(failed)
}

fn not_after(certificate: &str) -> Result<Timestamp, Failure> {
    facts(certificate).map(|f| f.not_after)
}

/// A certificate that cannot be made or read.
pub fn failed(error: pki::Error) -> Failure {
    Failure::new(Exit::Input, error)
}
