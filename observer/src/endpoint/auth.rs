//! Basic authentication against bcrypt hashes.
//!
//! What an attacker can measure must not tell which users exist: a name that does not exist is compared with the hash
//! of one that does (always the same for the same name), so it takes exactly as long as some user takes, whatever costs
//! the hashes have. What an attacker can use up is bounded: one hash is computed at a time, beside the endpoint's
//! thread, and few may wait. Passwords that were right are remembered (as a keyed digest), so a scraper is not
//! hindered by somebody who tries passwords.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Above this a check takes many seconds, and every other scraper waits for it.
const MAX_COST: u32 = 18;
/// Passwords that may wait for their check; each takes 50 ms at the usual cost of 10.
const MAX_WAITING: usize = 16;
/// Right passwords that are remembered: scrapers, not people.
const MAX_REMEMBERED: usize = 128;

/// A bcrypt hash that can be compared with.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(String);

impl Hash {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a bcrypt hash; make one with `htpasswd -nBC 10 \"\"`".to_owned();
        if !["$2a$", "$2b$", "$2y$"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            return Err(wrong());
        }
        let parts = HashParts::from_str(text).map_err(|_| wrong())?;
        // Comparing with nothing finds out whether the salt can be read.
        match parts.get_cost() {
            cost if cost > MAX_COST => Err(format!(
                "its cost of {cost} is above {MAX_COST}: a check would take too long"
            )),
            cost if cost < 4 => Err(wrong()),
            _ => Ok(Self(text.to_owned())),
        }
    }

    fn matches(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.0).unwrap_or(false)
    }
}

impl fmt::Debug for Hash {
    /// Not even a hash belongs into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bcrypt")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Welcome,
    Wrong,
    /// Too many are waiting.
    Busy,
}

/// One check at a time, for all connections and across reloads.
#[derive(Debug)]
pub struct Gate {
    running: Semaphore,
    waiting: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            running: Semaphore::new(1),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }
}

pub struct Users {
    hashes: HashMap<String, Hash>,
    /// The same hashes, in a fixed order, to choose from for names that do not exist.
    decoys: Vec<Hash>,
    /// New with every start and reload.
    key: hmac::Key,
    remembered: Mutex<VecDeque<hmac::Tag>>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("count", &self.decoys.len())
            .finish_non_exhaustive()
    }
}

impl Users {
    pub fn new(users: &[(String, Hash)]) -> anyhow::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            hashes: users.iter().cloned().collect(),
            decoys: users.iter().map(|(_, hash)| hash.clone()).collect(),
            key: key.map_err(|_| anyhow::anyhow!("the kernel gives no random numbers"))?,
            remembered: Mutex::default(),
        })
    }

    /// Judges the `Authorization` header. Without users everybody is welcome.
    pub async fn judge(&self, authorization: Option<&[u8]>, gate: &Gate) -> Verdict {
        if self.decoys.is_empty() {
            return Verdict::Welcome;
        }
        let Some(Credentials { user, password }) = authorization.and_then(Credentials::parse) else {
            return Verdict::Wrong;
        };
        let (hash, exists) = match self.hashes.get(&user) {
            Some(hash) => (hash, true),
            None => (self.decoy(&user), false),
        };
        let tag = self.tag(&user, &password, hash);
        if exists && self.remembers(&tag) {
            return Verdict::Welcome;
        }
        let Ok(_waiting) = gate.waiting.try_acquire() else {
            return Verdict::Busy;
        };
        let Ok(_running) = gate.running.acquire().await else {
            return Verdict::Busy;
        };
        let hash = hash.clone();
        let matches = spawn_blocking(move || hash.matches(&password))
            .await
            .unwrap_or(false);
        if !(matches && exists) {
            return Verdict::Wrong;
        }
        self.remember(tag);
        Verdict::Welcome
    }

    fn decoy(&self, user: &str) -> &Hash {
        static NONE: Hash = Hash(String::new());
        let tag = hmac::sign(&self.key, user.as_bytes());
        let random = tag
            .as_ref()
            .iter()
            .take(7)
            .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        self.decoys
            .get(random % self.decoys.len().max(1))
            .unwrap_or(&NONE)
    }

    /// The lengths keep `ab`+`c` and `a`+`bc` apart.
    fn tag(&self, user: &str, password: &[u8], hash: &Hash) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user.as_bytes(), password, hash.0.as_bytes()] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        context.sign()
    }

    /// Digests under a secret key: that the comparison is not of constant time tells nothing.
    fn remembers(&self, tag: &hmac::Tag) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.iter().any(|known| known.as_ref() == tag.as_ref())
    }

    fn remember(&self, tag: hmac::Tag) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(tag);
    }
}

struct Credentials {
    user: String,
    password: Vec<u8>,
}

impl Credentials {
    /// `Basic <base64 of user:password>` (RFC 7617).
    fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, rest) = header.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = STANDARD.decode(rest.trim_ascii()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (user, password) = decoded.split_at_checked(colon)?;
        let user = String::from_utf8(user.to_vec()).ok()?;
        Some(Self {
            user,
            password: password.get(1..)?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As cheap as bcrypt goes.
    fn users(names: &[(&str, &str)]) -> Users {
        let hashed = names.iter().map(|(name, password)| {
            let hash = bcrypt::hash_with_salt(password, 4, [7; 16])
                .expect("a hash")
                .to_string();
            ((*name).to_owned(), Hash::parse(&hash).expect("a hash"))
        });
        Users::new(&hashed.collect::<Vec<_>>()).expect("users")
    }

    fn judge(users: &Users, gate: &Gate, authorization: Option<&str>) -> Verdict {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        runtime.block_on(users.judge(authorization.map(str::as_bytes), gate))
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn verdicts() {
        let (users, gate) = (
            users(&[("alice", "secret"), ("bob", "other:one")]),
            Gate::default(),
        );
        for (authorization, expected) in [
            (Some(basic("alice:secret")), Verdict::Welcome),
            (Some(basic("alice:secret")), Verdict::Welcome),
            (Some(basic("bob:other:one")), Verdict::Welcome),
            (
                Some(basic("alice:secret").replace("Basic", "bAsIc")),
                Verdict::Welcome,
            ),
            (Some(basic("alice:Secret")), Verdict::Wrong),
            (Some(basic("alice:")), Verdict::Wrong),
            (Some(basic("alice")), Verdict::Wrong),
            (Some(basic(":secret")), Verdict::Wrong),
            (Some(basic("carol:secret")), Verdict::Wrong),
            (Some(basic("carol:other:one")), Verdict::Wrong),
            (Some(basic("alice:secret\0")), Verdict::Wrong),
            (Some("Basic".into()), Verdict::Wrong),
            (Some("Basic !!!!".into()), Verdict::Wrong),
            (Some("Bearer abc".into()), Verdict::Wrong),
            (None, Verdict::Wrong),
        ] {
            assert_eq!(
                judge(&users, &gate, authorization.as_deref()),
                expected,
                "{authorization:?}"
            );
        }
    }

    #[test]
    fn nobody_configured_everybody_welcome() {
        assert_eq!(judge(&users(&[]), &Gate::default(), None), Verdict::Welcome);
    }

    #[test]
    fn a_name_that_does_not_exist_is_compared_like_one_that_does() {
        let users = users(&[("a", "1"), ("b", "2"), ("c", "3")]);
        for index in 0..50 {
            let name = format!("nobody{index}");
            let first = users.decoy(&name);
            assert!(users.decoys.contains(first) && users.decoy(&name) == first);
        }
    }

    #[test]
    fn a_remembered_password_does_not_wait() {
        let (users, gate) = (users(&[("alice", "secret")]), Gate::default());
        assert_eq!(
            judge(&users, &gate, Some(&basic("alice:secret"))),
            Verdict::Welcome
        );
        let everything = u32::try_from(MAX_WAITING).expect("small");
        let _flood = gate.waiting.try_acquire_many(everything).expect("free");
        assert_eq!(judge(&users, &gate, Some(&basic("alice:wrong"))), Verdict::Busy);
        assert_eq!(
            judge(&users, &gate, Some(&basic("alice:secret"))),
            Verdict::Welcome
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let users = users(&[("alice", "secret")]);
        for index in 0..MAX_REMEMBERED + 5 {
            users.remember(hmac::sign(&users.key, &index.to_be_bytes()));
        }
        assert_eq!(users.remembered.lock().expect("free").len(), MAX_REMEMBERED);
    }

    #[test]
    fn hashes() {
        let wrong = "is not a bcrypt hash; make one with `htpasswd -nBC 10 \"\"`";
        let good = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze";
        assert!(Hash::parse(good).is_ok());
        for text in [
            "",
            "secret",
            "$2y$10$short",
            "$1$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze",
        ] {
            assert_eq!(Hash::parse(text), Err(wrong.to_owned()), "{text}");
        }
        let dear = Err("its cost of 19 is above 18: a check would take too long".to_owned());
        assert_eq!(Hash::parse(&good.replace("$10$", "$19$")), dear);
        assert_eq!(Hash::parse(&good.replace("$10$", "$03$")), Err(wrong.to_owned()));
        assert_eq!(format!("{:?}", Hash::parse(good)), "Ok(bcrypt)");
    }

    proptest! {
        #[test]
        fn any_header_gets_an_answer(header in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Credentials::parse(&header);
            let _ = Credentials::parse(&[b"Basic ", &*header].concat());
        }

        #[test]
        fn any_hash_gets_an_answer(text in "\\$2[aby]\\$[0-9]{0,3}\\$[./A-Za-z0-9]{0,60}") {
            let _ = Hash::parse(&text);
        }
    }
}
