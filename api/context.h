// SPDX-License-Identifier: Apache-2.0
#pragma once

// What handlers work with, and the shape of a handler. A handler is a function of a request and the
// context; which identity it needs is part of its type, so none can run unauthenticated.

#include <atomic>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/auth.h"
#include "api/auth_credentials.h"
#include "api/keyring.h"
#include "api/limiter.h"
#include "api/metrics.h"
#include "api/pace.h"
#include "api/passwords.h"
#include "api/polls.h"
#include "api/query.h"
#include "api/refusals.h"
#include "api/roles.h"
#include "api/verified_tokens.h"
#include "base/snapshot.h"
#include "base/warnings.h"
#include "base/workers.h"
#include "http/server.h"
#include "maps/maps.h"
#include "pki/authority.h"
#include "store/store.h"

namespace cvlan::api {

struct Settings {
    std::vector<std::string> registration_urls;  // "https://host:port"
    std::vector<std::string> session_urls;
    std::vector<Address> own_addresses{};    // of the controller: no network may hold one
    std::string api_url{};                   // for people, in links
    std::vector<Prefix> webhook_prefixes{};  // not of the Internet, and may be told of events
};

struct Route;

// What handlers share. Roles run on threads of their own: `maps`, `auth` and `polls` belong to that
// of the session role, everything else may be used from any.
struct Context {
    store::Store& store;
    maps::Maps& maps;
    const Snapshot<pki::Authority>& authority;  // replaced when its intermediate is
    const pki::SigningKey& controller_key;      // signs what belongs to no tenant
    KeyRing& keys;
    Auth& auth;
    AdminAuth& admins;
    Passwords& passwords;
    Workers& enrolling;  // waits for the disk, where nobody else's request does
    Workers& reporting;  // likewise, for nodes that have enrolled
    Polls& polls;
    Limiter& failed_enrolments;  // by address
    const Clock& clock;
    Settings settings;
    std::atomic<bool> draining = false;
    // On which loop a request is worked on that came to the loop `here`. Not set: on that one.
    std::function<EventLoop&(const Route&, EventLoop& here)> loop_of{};
    std::unique_ptr<Metrics> metrics = std::make_unique<Metrics>();
    std::unique_ptr<Refusals> refusals = std::make_unique<Refusals>(store, clock);
    std::unique_ptr<Warnings> warnings = std::make_unique<Warnings>(clock);
    std::unique_ptr<VerifiedTokens> verified_tokens = std::make_unique<VerifiedTokens>();
    std::unique_ptr<Pace> health_reports =
        std::make_unique<Pace>(std::chrono::seconds(5), 1, clock);
    // Of one node, all that it writes: a machine that comes into 50 networks does so at once.
    std::unique_ptr<Pace> node_writes =
        std::make_unique<Pace>(std::chrono::milliseconds(500), 60, clock);
};

// Whom a refusal is noted for in the audit.
struct Who {
    std::string actor = "anonymous";
    std::string tenant_id{};
    std::string outcome{};  // where the answer's code does not say all
};

struct Call {
    const http::Request& request;
    std::string id;  // of the path, a UUID; empty where the route has none
    Query query;
    store::Store& store;  // of who asks, for what it changes; not to be kept beyond the handler
    bool validate_only = false;  // nothing of what is changed by it stays
    // Where a public handler says who has proved itself; null elsewhere.
    Who* who = nullptr;
};

using PublicHandler = http::Response (*)(Context&, const Call&);
// The same, on one of those who enrol: it waits for the disk, together with others.
struct OnWorker {
    PublicHandler run;
};
using HeldPublicHandler = void (*)(Context&, const Call&, http::Reply);
// What a node changes; on a worker too, who neither has the maps nor the node's standing.
using NodeHandler = http::Response (*)(Context&, const Call&, const NodeIdentity&);
using HeldNodeHandler = void (*)(Context&, const Call&, const Identity&, http::Reply);
using AdminHandler = http::Response (*)(Context&, const Call&, const AdminIdentity&);

using HeldAdminHandler = void (*)(Context&, const Call&, const AdminIdentity&, http::Reply);

// A handler of administration, and what it asks of the caller.
struct Admin {
    Needs needs;
    AdminHandler run;
};
struct HeldAdmin {
    Needs needs;
    HeldAdminHandler run;
};
constexpr Admin may(Needs needs, AdminHandler run) { return {needs, run}; }
constexpr HeldAdmin may(Needs needs, HeldAdminHandler run) { return {needs, run}; }

struct Route {
    Role role;
    std::string_view method;
    std::string_view pattern;  // "{id}" stands for one UUID
    std::variant<PublicHandler, OnWorker, HeldPublicHandler, NodeHandler, HeldNodeHandler, Admin,
                 HeldAdmin>
        handler;
    std::vector<std::string_view> query{};  // the parameters it takes
    bool needs_match = false;               // 428 without If-Match
    bool is_long = false;                   // may take seconds
};

std::span<const Route> routes();

// Who acts, for the store and its audit.
store::Cause cause_of(const http::Request& request, std::string actor);

// 200 or 201 with a JSON document of the wire's types.
template <class T>
http::Response json_response(int status, const T& document) {
    http::Response response;
    response.status = status;
    response.content_type = "application/json";
    response.body = encode(document);
    return response;
}
inline http::Response no_content() { return http::Response{.status = 204}; }

}  // namespace cvlan::api
