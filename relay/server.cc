// SPDX-License-Identifier: Apache-2.0
#include "relay/server.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "pki/certificate.h"
#include "relay/server_state.h"

namespace cvlan::relay {

using namespace std::chrono_literals;

namespace {

constexpr auto kDrain = 5s;

http::Limits limits_before(http::Limits limits) {
    limits.head_bytes = 8 * 1024;
    limits.body_bytes = 1024;
    limits.idle = 10s;
    return limits;
}

}  // namespace

Server::State::State(EventLoop& on, const Clock& time, ServerOptions what)
    : loop(on),
      clock(time),
      options(std::move(what)),
      shared{{}, BlockPool(options.limits.queue_memory / kBlock), options.limits.queue_bytes} {
    now = clock.since_boot();
    event_assign(
        &turn_event, loop.base(), -1, 0,
        [](evutil_socket_t, short, void* self) { static_cast<State*>(self)->end_turn(); }, this);
    sweeping = loop.every(options.limits.sweep, [this] { sweep(); });
}

Server::State::~State() {
    event_del(&turn_event);
    http.reset();
    sessions.clear();
}

Tenant* Server::State::tenant_of(std::string_view server_name) {
    for (const auto& [id, tenant] : tenants)
        if (tenant->trust.server_name == server_name) return tenant.get();
    return nullptr;
}

// The certificate was verified by the CAs of the identity whose name was asked for; so it is that
// identity's tenant which it must be of, whatever other tenants are served here.
tl::expected<Session::Who, http::Problem> Server::State::admit(const http::Request& request) {
    Tenant* tenant = tenant_of(request.server_name);
    if (!tenant || !request.client_certificate)
        return tl::unexpected(http::Problem{403, "FORBIDDEN", "no node of a tenant served here"});
    auto leaf =
        pki::parse_node_certificate(request.client_certificate.get(), tenant->trust.trust_domain);
    if (!leaf || leaf->tenant_id != tenant->trust.tenant_id)
        return tl::unexpected(http::Problem{403, "FORBIDDEN", "no node of this tenant"});
    if (tenant->trust.is_barred(leaf->node_id, clock.now()))
        return tl::unexpected(http::Problem{403, "NODE_BARRED", "this node is barred"});
    if (sessions.size() >= options.limits.sessions ||
        tenant->sessions >= options.limits.tenant.sessions)
        return tl::unexpected(http::Problem{429, "TOO_MANY_SESSIONS", "too many sessions"});
    return Session::Who{++last_id, leaf->node_id, tenant};
}

void Server::State::asked(http::Request request, http::Reply reply) {
    const auto refuse = [&](const http::Problem& why) {
        ++counts.sessions_refused;
        log::debug("relay.session_refused", {{"peer", request.peer.text()}, {"code", why.code}});
        reply.send(http::problem(why, reply.request_id()));
    };
    auto form = welcome(request);
    if (!form) return refuse(form.error());
    auto who = admit(request);
    if (!who) return refuse(who.error());
    if (form->is_websocket) who->framing = Channel::Framing::WebSocketServer;
    // The head is on its way first, and the tenant may be gone by then.
    const std::string tenant_id = who->tenant->trust.tenant_id;
    reply.upgrade(std::move(form->head),
                  [this, who = std::move(*who), tenant_id](http::Upgraded upgraded) mutable {
                      const auto tenant = tenants.find(tenant_id);
                      if (tenant == tenants.end() || is_draining) return;
                      who.tenant = tenant->second.get();
                      begin(std::move(who), std::move(upgraded));
                  });
}

void Server::State::begin(Session::Who who, http::Upgraded upgraded) {
    const uint64_t id = who.id;
    log::debug("relay.session_begun",
               {{"tenant", who.tenant->trust.tenant_id}, {"node", who.node_id}, {"session", id}});
    ++who.tenant->sessions;
    ++counts.sessions_begun;
    auto made = std::make_unique<Session>(loop, *this, shared, std::move(who), std::move(upgraded));
    Session& session = *sessions.emplace(id, std::move(made)).first->second;
    session.heard_at = clock.since_boot();
    put_hello(session.control(), {kVersion1, options.stun});
    mark_due(session);
}

void Server::State::mark_due(Session& session) {
    if (std::exchange(session.is_due, true)) return;
    if (due.empty()) event_active(&turn_event, EV_TIMEOUT, 0);
    due.push_back(&session);
}

void Server::State::flush(Session& session) {
    session.is_due = false;
    if (session.flush()) return;
    over.push_back(session.id());
    event_active(&turn_event, EV_TIMEOUT, 0);
}

void Server::State::send_due() {
    for (size_t i = 0; i < due.size(); ++i)
        if (due[i]) flush(*due[i]);
    due.clear();
}

void Server::State::bury() {
    for (const uint64_t id : std::exchange(over, {}))
        if (const auto found = sessions.find(id); found != sessions.end()) forget(*found->second);
}

// libevent runs it behind all that was readable when it looked.
void Server::State::end_turn() {
    is_in_turn = false;
    send_due();
    bury();
}

// At the end of this turn, not now: the caller may be reading from it.
void Server::State::end(Session& session, Fault code, std::string_view text) {
    if (std::exchange(session.is_over, true)) return;
    session.last_words(code, text);
    over.push_back(session.id());
    event_active(&turn_event, EV_TIMEOUT, 0);
}

void Server::State::on_over(Session& session) { forget(session); }

void Server::State::forget(Session& session) {
    log::debug("relay.session_ended", {{"tenant", session.tenant().trust.tenant_id},
                                       {"node", session.node_id()},
                                       {"session", session.id()}});
    while (!session.grants.empty()) drop_grant(session, session.grants.back());
    counts.dropped_queue += session.dropped();
    --session.tenant().sessions;
    busy -= session.is_busy ? 1 : 0;
    std::replace(due.begin(), due.end(), &session, static_cast<Session*>(nullptr));
    sessions.erase(session.id());
}

// Whoever has sent to this key hears that there is no use in it any more.
void Server::State::drop_grant(Session& session, const Granted& grant) {
    Tenant& tenant = session.tenant();
    const auto place = tenant.places.find(grant.key);
    if (place != tenant.places.end() && place->second.session == &session) {
        for (const uint64_t id : place->second.senders) {
            const auto sender = sessions.find(id);
            if (sender == sessions.end() || sender->second->is_over) continue;
            put_peer_gone(sender->second->control(), {grant.key, Gone::Ended});
            mark_due(*sender->second);
        }
        tenant.places.erase(place);
        --counts.keys;
    }
    std::erase_if(session.grants, [key = grant.key](const auto& one) { return one.key == key; });
}

void Server::State::sweep() {
    now = clock.since_boot();
    for (const auto& [id, session] : sessions) {
        look_at_rest(*session);
        if (now - session->heard_at > options.limits.silence)
            end(*session, Fault::Leaving, "nothing was heard for too long");
        else
            sweep_grants(*session);
    }
    bury();
}

void Server::State::sweep_grants(Session& session) {
    const WallTime wall = clock.now();
    const std::vector<Granted> held = session.grants;
    for (const Granted& grant : held) {
        if (grant.expires_at > wall) continue;
        drop_grant(session, grant);
        put_refusal(session.control(), {Fault::GrantRefused, "a grant has run out"});
        mark_due(session);
    }
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::listen(EventLoop& loop, const Clock& clock,
                                               ServerOptions options) {
    const Endpoint at = options.at;
    const http::TlsServerNames tls = std::exchange(options.tls, {});
    auto state = std::make_unique<State>(loop, clock, std::move(options));
    State* inner = state.get();
    http::Service service{[inner](http::Request request, http::Reply reply) {
                              inner->asked(std::move(request), std::move(reply));
                          },
                          limits_before(state->options.http), state->options.proxies};
    auto http = http::Server::listen_tls(loop, at, tls, std::move(service));
    if (!http) return failed(http.error());
    state->http = std::move(*http);
    auto server = std::make_unique<Server>(std::move(state));
    server->set_tenants(std::exchange(inner->options.tenants, {}));
    return server;
}

Endpoint Server::endpoint() const { return state_->http->endpoint(); }

Result<void> Server::update_tls(const http::TlsServerNames& tls) {
    return state_->http->update_tls(tls);
}

void Server::set_tenants(std::vector<TenantTrust> tenants) {
    State& state = *state_;
    std::vector<std::string> served;
    for (TenantTrust& trust : tenants) {
        served.push_back(trust.tenant_id);
        auto& tenant = state.tenants[trust.tenant_id];
        if (tenant)
            tenant->trust = std::move(trust);
        else
            tenant = std::make_unique<Tenant>(std::move(trust), state.options.limits.tenant);
    }
    const WallTime wall = state.clock.now();
    for (const auto& [id, session] : state.sessions) {
        const TenantTrust& trust = session->tenant().trust;
        if (std::find(served.begin(), served.end(), trust.tenant_id) == served.end()) {
            state.end(*session, Fault::Barred, "this tenant is served here no more");
            continue;
        }
        if (trust.is_barred(session->node_id(), wall)) {
            state.end(*session, Fault::Barred, "this node is barred");
            continue;
        }
        const std::vector<Granted> held = session->grants;
        for (const auto& [network, number] : session->tenant().networks)
            if (trust.is_barred(session->node_id(), network, wall))
                for (const Granted& grant : held)
                    if (grant.network == number) state.drop_grant(*session, grant);
    }
    state.bury();
    std::erase_if(state.tenants, [&](const auto& entry) {
        const bool is_gone = std::find(served.begin(), served.end(), entry.first) == served.end();
        if (state.desk)
            state.desk->trust_changed(entry.first, is_gone ? nullptr : &entry.second->trust);
        return is_gone;
    });
}

void Server::set_pair_desk(PairDesk* desk) { state_->desk = desk; }

void Server::set_stun(std::vector<Endpoint> stun) { state_->options.stun = std::move(stun); }

bool Server::tell(uint64_t session, ByteView frames) {
    const auto found = state_->sessions.find(session);
    if (found == state_->sessions.end() || found->second->is_over) return false;
    Bytes& control = found->second->control();
    control.insert(control.end(), frames.begin(), frames.end());
    state_->mark_due(*found->second);
    return true;
}

void Server::drain(std::function<void()> done) {
    State& state = *state_;
    state.is_draining = true;
    for (const auto& [id, session] : state.sessions)
        state.end(*session, Fault::Leaving, "this relay is ending");
    state.bury();
    state.http->drain(kDrain, std::move(done));
}

ServerStats Server::stats() const {
    ServerStats stats = state_->counts;
    stats.sessions = state_->sessions.size();
    stats.busy = state_->busy;
    for (const auto& [id, session] : state_->sessions) stats.dropped_queue += session->dropped();
    return stats;
}

http::Server::Stats Server::http_stats() const { return state_->http->stats(); }

}  // namespace cvlan::relay
