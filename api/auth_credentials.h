// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who administers, by what a request shows: an access token (Authorization: Bearer), a session's
// cookie, a client certificate of an account, which TLS has verified, or the unix socket by the
// kernel's word. What stands behind a token, cookie or certificate is kept by its SHA-256 for at
// most 5 s, so that who is disabled, lowered or shut out by another controller is so within that
// time; by this one, at once. From any thread.

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/auth_admin.h"
#include "base/clock.h"
#include "store/accounts.h"

namespace cvlan::api {

inline constexpr const char* kSessionCookie = "__Host-cvlan";
inline constexpr std::chrono::hours kSessionLife{12};
inline constexpr std::chrono::hours kSessionIdle{1};

class AdminAuth {
public:
    AdminAuth(store::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

    // 401 UNAUTHENTICATED where nothing is shown, or what is shown is not good (any more); 403
    // CSRF where a cookie comes without its header, or TENANT_SUSPENDED; 503 while the database can
    // not be read.
    Verdict<AdminIdentity> admin(const http::Request& request);

    // The account, its tenant, or the token or session of this id has changed.
    void forget(const std::string& id);
    // When credentials were used last is kept in memory; this writes it, in one transaction.
    void flush_used();

    static constexpr std::chrono::seconds kKept{5};
    static constexpr std::chrono::seconds kUsedEvery{60};

private:
    struct Known {
        store::Credential credential;
        BootTime read_at{};
        WallTime used_at{};     // last, as far as this controller knows
        WallTime written_at{};  // what the database has of that
    };
    struct Shown {
        std::string secret;
        bool is_session = false;
        bool is_certificate = false;
        std::string hash() const;
    };
    static Verdict<std::optional<Shown>> shown(const http::Request& request);
    // These three with the lock held.
    Result<Known*> look_up(const Shown& shown);
    Verdict<AdminIdentity> identify(const Shown& shown, const http::Request& request);
    void collect_used();

    store::Store& store_;
    const Clock& clock_;
    // Never held over a write of the store, whose listeners come back to forget().
    std::mutex mutex_;
    std::vector<store::Used> used_;                 // to be written
    std::unordered_map<std::string, Known> known_;  // by the secret's SHA-256, in hex
};

// By which the certificate of an account is known; never that of a token or session.
std::string certificate_hash(std::string_view pem);
// What the X-CSRF-Token header of a session must hold. A page of another origin can send the
// cookie's requests, where a browser lets it, but never knows this.
std::string csrf_token(std::string_view session_secret);
// Why a request that a browser made for a page of another origin is not served; nullopt for all
// others.
std::optional<http::Response> refuse_origin(const http::Request& request);

}  // namespace cvlan::api
