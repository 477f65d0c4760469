// SPDX-License-Identifier: Apache-2.0
#include "api/auth_credentials.h"

#include <openssl/crypto.h>
#include <strings.h>

#include <algorithm>

#include "api/error.h"
#include "base/bytes.h"
#include "base/log.h"

namespace cvlan::api {

namespace {

constexpr size_t kMostKnown = 10'000;
constexpr std::string_view kBearer = "Bearer ";

http::Response unauthenticated(std::string_view detail, const http::Request& request) {
    auto response = refusal(401, "UNAUTHENTICATED", detail, request.request_id);
    response.headers.push_back({"WWW-Authenticate", "Bearer"});
    return response;
}

std::string hash_of(std::string_view secret) { return hex(sha256(as_bytes(secret))); }

bool has_several(const http::Request& request, const char* name) {
    return std::count_if(request.headers.begin(), request.headers.end(),
                         [&](const http::Header& header) {
                             return strcasecmp(header.name.c_str(), name) == 0;
                         }) > 1;
}

// The value of our cookie in a Cookie header (RFC 6265, section 5.4).
std::optional<std::string> session_cookie(const http::Request& request) {
    const std::string* header = request.header("Cookie");
    if (!header) return std::nullopt;
    std::string_view rest = *header;
    while (!rest.empty()) {
        std::string_view pair = rest.substr(0, rest.find(';'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        while (pair.starts_with(' ')) pair.remove_prefix(1);
        const size_t equals = pair.find('=');
        if (equals != std::string_view::npos && pair.substr(0, equals) == kSessionCookie)
            return std::string(pair.substr(equals + 1));
    }
    return std::nullopt;
}

bool same(std::string_view one, std::string_view other) {
    return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

// A cookie comes with every request that a browser makes, whoever wrote the page.
std::optional<http::Response> refuse_forgery(std::string_view secret,
                                             const http::Request& request) {
    if (request.method == "GET") return std::nullopt;
    if (auto refused = refuse_origin(request)) return refused;
    const std::string* token = request.header("X-CSRF-Token");
    if (!token || !same(*token, csrf_token(secret)))
        return refusal(403, "CSRF", "a change by a session needs its X-CSRF-Token header",
                       request.request_id);
    return std::nullopt;
}

AdminIdentity identity_of(const store::Credential& credential) {
    const model::Account& account = credential.account;
    AdminIdentity who;
    who.actor = account.actor();
    if (!account.tenant_id.empty()) who.scope = account.tenant_id;
    who.role = account.role;
    who.account = store::Key{account.tenant_id, account.id};
    who.credential_id = credential.id;
    who.by_session = credential.is_session;
    return who;
}

}  // namespace

std::string AdminAuth::Shown::hash() const {
    return is_certificate ? certificate_hash(secret) : hash_of(secret);
}

std::string certificate_hash(std::string_view pem) { return "x509:" + hash_of(pem); }

std::string csrf_token(std::string_view session_secret) {
    return hash_of("csrf:" + std::string(session_secret));
}

std::optional<http::Response> refuse_origin(const http::Request& request) {
    const std::string* origin = request.header("Origin");
    const std::string* host = request.header("Host");
    if (!origin || (host && *origin == "https://" + *host)) return std::nullopt;
    return refusal(403, "ORIGIN", "pages of another origin may not do this", request.request_id);
}

// What the request shows beside its socket. More than one is none: no proxy and no parser is to
// take another for the one that counts.
Verdict<std::optional<AdminAuth::Shown>> AdminAuth::shown(const http::Request& request) {
    const std::string* header = request.header("Authorization");
    if (has_several(request, "Authorization") || has_several(request, "Cookie"))
        return unauthenticated("there are several credentials", request);
    if (header && !header->starts_with(kBearer))
        return unauthenticated("only Bearer is understood here", request);
    if (header) return std::optional(Shown{header->substr(kBearer.size()), false});
    if (auto cookie = session_cookie(request)) return std::optional(Shown{*cookie, true});
    if (request.client_certificate)
        return std::optional(Shown{request.client_certificate.pem(), false, true});
    return std::optional<Shown>{};
}

Verdict<AdminIdentity> AdminAuth::admin(const http::Request& request) {
    auto found = shown(request);
    if (auto* refused = std::get_if<http::Response>(&found)) return std::move(*refused);
    const auto& shows = std::get<std::optional<Shown>>(found);
    if (shows) {
        const std::lock_guard lock(mutex_);
        return identify(*shows, request);
    }
    if (request.local) return admin_on_socket(request);
    return unauthenticated("log in, or show an access token", request);
}

Result<AdminAuth::Known*> AdminAuth::look_up(const Shown& shown) {
    const std::string hash = shown.hash();
    const auto now = clock_.since_boot();
    const auto found = known_.find(hash);
    const bool is_known = found != known_.end();
    if (is_known && found->second.credential.is_session == shown.is_session &&
        now - found->second.read_at < kKept)
        return &found->second;
    auto accounts = store_.accounts();
    auto read = shown.is_session ? accounts.by_session(hash) : accounts.by_token(hash);
    if (!read) {
        if (is_known) known_.erase(found);
        return failed(read.error());
    }
    if (!is_known && known_.size() >= kMostKnown) {
        collect_used();
        known_.clear();
    }
    Known& known = known_[hash];
    const WallTime written = read->last_used_at.value_or(WallTime{});
    known = {std::move(*read), now, std::max(known.used_at, written), written};
    return &known;
}

Verdict<AdminIdentity> AdminAuth::identify(const Shown& shown, const http::Request& request) {
    auto found = look_up(shown);
    if (!found && found.error().code != Code::NotFound) {
        log::error("api.credential_unreadable",
                   {{"request", request.request_id}, {"reason", found.error().message}});
        return error_response({Code::Unavailable, "the controller can not read its database now"},
                              request.request_id);
    }
    if (!found) return unauthenticated("this credential is not known here", request);
    Known& known = **found;
    const store::Credential& credential = known.credential;
    const WallTime now = clock_.now();
    if (credential.expires_at <= now)
        return unauthenticated("this credential has expired", request);
    if (credential.account.disabled) return unauthenticated("this account is disabled", request);
    if (credential.is_suspended)
        return refusal(403, store::kTenantSuspended, "the tenant of this account is suspended",
                       request.request_id);
    if (credential.is_session && known.used_at + kSessionIdle <= now)
        return unauthenticated("this session was idle for too long", request);
    if (credential.is_session)
        if (auto refused = refuse_forgery(shown.secret, request)) return std::move(*refused);
    // As a cookie, a browser shows it whoever wrote the page.
    if (shown.is_certificate && request.method != "GET")
        if (auto refused = refuse_origin(request)) return std::move(*refused);
    known.used_at = now;
    return identity_of(credential);
}

void AdminAuth::forget(const std::string& id) {
    const std::lock_guard lock(mutex_);
    std::erase_if(known_, [&](const auto& entry) {
        const store::Credential& credential = entry.second.credential;
        return credential.id == id || credential.account.id == id ||
               credential.account.tenant_id == id;
    });
}

void AdminAuth::collect_used() {
    for (auto& [hash, known] : known_) {
        if (known.used_at <= known.written_at) continue;
        const store::Credential& credential = known.credential;
        used_.push_back(
            {{credential.account.tenant_id, credential.id}, credential.is_session, known.used_at});
        known.written_at = known.used_at;
    }
}

void AdminAuth::flush_used() {
    std::vector<store::Used> used;
    {
        const std::lock_guard lock(mutex_);
        collect_used();
        used.swap(used_);
    }
    if (used.empty()) return;
    if (auto written = store_.accounts().set_used(used); !written)
        log::warn("api.last_used_not_written",
                  {{"credentials", used.size()}, {"reason", written.error().message}});
}

}  // namespace cvlan::api
