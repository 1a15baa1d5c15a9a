//! Access control: only the page opened with this server's token.
//!
//! * *Other programs and users of the machine* do not know the token.
//! * *Other sites in the same browser* can send requests, but do not know the token and cannot set its header without a preflight
//!   request, which is never answered. `Origin` and `Sec-Fetch-Site` reveal them, too.
//! * *DNS rebinding*, a foreign name that resolves to this server, is visible in `Host`.

use anyhow::{Context, Result};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};

use super::refusal::Refusal;

/// Header of the token.
pub(super) const TOKEN: &str = "x-infomark-token";
/// Bytes of a token.
const BYTES: usize = 32;

/// Requirements of a request.
pub(super) struct Guard {
    token: String,
    port: u16,
}

impl Guard {
    pub(super) fn new(port: u16) -> Result<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).context("the system gives no random numbers for a token")?;
        Ok(Self { token: bytes.iter().map(|byte| format!("{byte:02x}")).collect(), port })
    }

    /// The page's address, with the token.
    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/?token={}", self.port, self.token)
    }

    /// Checks that apply to every request.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if hosts.next().is_none() && host.is_some_and(|host| self.is_own(host)) {
            return Ok(());
        }
        Err(Refusal::new(403, "this server answers at 127.0.0.1 only; open the address that it printed"))
    }

    /// Checks that apply to every request that reads or changes data.
    pub(super) fn check_page(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let own_site = |site: &str| matches!(site, "same-origin" | "none");
        let foreign = text(ORIGIN.as_str())
            .is_some_and(|origin| !origin.strip_prefix("http://").is_some_and(|host| self.is_own(host)));
        if foreign || text("sec-fetch-site").is_some_and(|site| !own_site(site)) {
            return Err(Refusal::new(403, "the request comes from another site"));
        }
        let given = headers.get(TOKEN).map(HeaderValue::as_bytes).unwrap_or_default();
        if !same(given, self.token.as_bytes()) {
            return Err(Refusal::new(
                401,
                "the token is missing or wrong; open the address that the server printed when it was started last",
            ));
        }
        Ok(())
    }

    fn is_own(&self, host: &str) -> bool {
        ["127.0.0.1", "localhost"].iter().any(|name| host == format!("{name}:{}", self.port))
    }
}

/// Constant-time comparison of two texts.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = |sum: u8, (a, b): (&u8, &u8)| std::hint::black_box(sum | (a ^ b));
    a.len() == b.len() && a.iter().zip(b).fold(0, differ) == 0
}

/// Headers of every response: nothing may be run, framed, stored or disclosed.
pub(super) const HEADERS: [(HeaderName, &str); 8] = [
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("x-frame-options"), "DENY"),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (HeaderName::from_static("cache-control"), "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() -> Result<()> {
        let (a, b) = (Guard::new(1)?, Guard::new(1)?);
        assert!(a.token.len() == 2 * BYTES && a.token != b.token);
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab") && !same(b"", b"a"));
        Ok(())
    }
}
