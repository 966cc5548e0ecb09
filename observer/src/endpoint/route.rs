//! Which page a request asks for. Knows methods and paths, nothing else.

use hyper::Method;

use super::health::Question;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Metrics,
    Health(Question),
    NotFound,
    MethodNotAllowed,
}

/// What may be asked with, for the `Allow` header.
pub const ALLOWED: &str = "GET, HEAD";

/// The path decides first: a POST to nowhere is a 404.
pub fn resolve(method: &Method, path: &str) -> Route {
    let page = match path {
        "/metrics" => Route::Metrics,
        "/health" => Route::Health(Question::Healthy),
        "/health/live" => Route::Health(Question::Live),
        "/health/ready" => Route::Health(Question::Ready),
        _ => return Route::NotFound,
    };
    if method == Method::GET || method == Method::HEAD {
        page
    } else {
        Route::MethodNotAllowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        for (method, path, expected) in [
            (Method::GET, "/metrics", Route::Metrics),
            (Method::HEAD, "/metrics", Route::Metrics),
            (Method::GET, "/health", Route::Health(Question::Healthy)),
            (Method::GET, "/health/live", Route::Health(Question::Live)),
            (Method::HEAD, "/health/ready", Route::Health(Question::Ready)),
            (Method::POST, "/metrics", Route::MethodNotAllowed),
            (Method::OPTIONS, "/health", Route::MethodNotAllowed),
            (Method::POST, "/", Route::NotFound),
            (Method::GET, "/metrics/", Route::NotFound),
            (Method::GET, "//metrics", Route::NotFound),
            (Method::GET, "/Metrics", Route::NotFound),
            (Method::GET, "*", Route::NotFound),
        ] {
            assert_eq!(resolve(&method, path), expected, "{method} {path}");
        }
    }
}
