// SPDX-License-Identifier: Apache-2.0
// What an administrator asks of the agent: up, down, logout.

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "daemons/agent/agent.h"
#include "daemons/agent/enrolment.h"
#include "daemons/agent/underlay.h"
#include "pki/token.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

namespace {

constexpr int64_t kDefaultWait = 30;

Refusal refusal(int status, std::string code, Code kind, std::string message) {
    return {Error{kind, std::move(message)}, status, std::move(code)};
}

}  // namespace

// One enrolment or join under way.
struct Agent::Enrolling {
    Node* node = nullptr;
    std::string tenant_id;
    std::string network_id;
    Introduction introduction;
    bool is_join = false;
    std::unique_ptr<Controller> registration;
    Done<Node*> done;
};

Result<void> Agent::set_wanted(state::Wanted wanted) {
    if (agent_.wanted == wanted) return {};
    state::AgentState next = agent_;
    next.wanted = wanted;
    // On disk first: what was answered must hold after a reboot.
    if (auto saved = save_agent(parts_.dir, next); !saved) return saved;
    agent_ = next;
    saved_agent_ = encode(agent_);
    return {};
}

// A machine that is wanted down speaks with no controller, whatever it had to ask one in between.
void Agent::rest_if_down() {
    if (is_wanted_up()) return;
    for (auto& node : nodes_) node->close_session();
}

Answer<void> Agent::bring_up() {
    if (auto saved = set_wanted(state::Wanted::Up); !saved) {
        rest_if_down();
        return tl::unexpected(Refusal{saved.error(), 500, "STATE_NOT_SAVED"});
    }
    for (auto& node : nodes_)
        if (!node->session()) node->open_session();
    soon();
    return {};
}

void Agent::up(const local::UpRequest& request, Done<local::UpResult> done) {
    if (!request.token && !self_node())
        return done(tl::unexpected(refusal(409, "NEEDS_ENROLMENT", Code::Conflict,
                                           "this machine is not enrolled: a token is needed")));
    const BootTime deadline = parts_.clock.since_boot() +
                              std::chrono::seconds(request.wait_seconds.value_or(kDefaultWait));
    if (!request.token) {
        if (auto good = bring_up(); !good) return done(tl::unexpected(good.error()));
        waiters_.push_back({"", "", deadline, std::move(done)});
        return;
    }
    auto token = pki::parse_token(*request.token);
    if (!token)
        return done(tl::unexpected(
            refusal(403, "TOKEN_INVALID", Code::Denied, "this is no registration token")));
    const std::string tenant = token->claims.tenant_id, network = token->claims.network_id;
    enrol(*request.token, request.name,
          [this, tenant, network, deadline,
           done = std::move(done)](const Answer<Node*>& enrolled) mutable {
              if (!enrolled) return done(tl::unexpected(enrolled.error()));
              // Only now: a token that is no good leaves a machine that is down as it is.
              if (auto good = bring_up(); !good) return done(tl::unexpected(good.error()));
              waiters_.push_back({tenant, network, deadline, std::move(done)});
          });
}

// For which other program a token is, in words; nullptr: for this one.
static const char* other_program(model::TokenRole role, bool is_vrouter) {
    if (role == model::TokenRole::Relay) return "this token is a relay's: it is for cvlan-relay";
    if (role == model::TokenRole::Vrouter && !is_vrouter)
        return "this token is a vrouter's: it is for cvlan-vrouter";
    if (role == model::TokenRole::Node && is_vrouter)
        return "this token is a node's: a vrouter needs one of role VROUTER";
    return nullptr;
}

void Agent::enrol(const std::string& text, const std::optional<std::string>& name,
                  Done<Node*> done) {
    auto token = pki::parse_token(text);
    if (!token)
        return done(
            tl::unexpected(refusal(403, "TOKEN_INVALID", Code::Denied, token.error().message)));
    const model::TokenClaims& claims = token->claims;
    if (const char* other = other_program(claims.role, parts_.config.tenants_apart))
        return done(tl::unexpected(refusal(403, "TOKEN_INVALID", Code::Denied, other)));
    Node* node = node_of(claims.tenant_id);
    if (node && node->identity().kept.phase == state::Phase::Revoked)
        return done(tl::unexpected(
            refusal(403, "NODE_REVOKED", Code::Denied,
                    "this node was revoked and its keys are barred: log out first")));
    if (!node) {
        auto identity = new_identity(claims.tenant_id);
        if (!identity)
            return done(tl::unexpected(
                refusal(403, "TOKEN_INVALID", Code::Denied, "token: " + identity.error().message)));
        node = add_node(std::move(*identity));
    }
    const auto* known = node->identity().network(claims.network_id);
    // One whose certificate ran out while it was off enrols again, by the key it has (ADR 3).
    const bool is_join = node->identity().is_enrolled() && !node->needs_token();
    if (is_join && known && known->joined.value_or(false))
        return done(node);  // a member already: the token is not spent

    auto prepared = prepare(node->identity(), claims, is_join);
    // A port that is known outside stays; one that is taken is found out when it is bound.
    const auto has_port = [&] {
        const auto* keys = node->identity().network(claims.network_id);
        return keys && keys->listen_port != 0;
    };
    if (prepared) prepared = has_port() ? node->save() : choose_port(*node, claims.network_id);
    if (!prepared) return done(tl::unexpected(Refusal{prepared.error(), 403, "TOKEN_INVALID"}));
    const auto port = node->identity().network(claims.network_id)->listen_port;

    auto work = std::make_shared<Enrolling>();
    work->node = node;
    work->tenant_id = claims.tenant_id;
    work->network_id = claims.network_id;
    work->introduction = {text, name,
                          texts_of(own_endpoints(parts_.config.advertise_endpoints, {}, underlay_,
                                                 static_cast<uint16_t>(port))),
                          read_inventory(parts_.config.report_mac_addresses)};
    work->is_join = is_join;
    work->done = std::move(done);
    send_enrolment(work);
}

// Picks a port for a network that has none, or whose own was taken; the keys and the port are on
// disk when this returns.
Result<void> Agent::choose_port(Node& node, const std::string& network_id) {
    auto* keys = node.identity().network(network_id);
    if (!keys) return fail(Code::Internal, "no keys for network {}", network_id);
    std::vector<uint16_t> used;
    for (const auto& other : nodes_)
        for (const auto& network : other->identity().kept.networks)
            used.push_back(static_cast<uint16_t>(network.listen_port));
    const uint16_t port = parts_.free_port(parts_.config.listen_port, used);
    if (port == 0)
        return fail(Code::Unavailable, "no free UDP port from {} on", parts_.config.listen_port);
    keys->listen_port = port;
    return node.save();
}

void Agent::send_enrolment(const std::shared_ptr<Enrolling>& work) {
    const Identity& identity = work->node->identity();
    Controller::Call call{"POST", work->is_join ? "/api/v1/node/memberships" : "/api/v1/enrol"};
    if (work->is_join) {
        auto request = join_request(identity, work->network_id, work->introduction);
        if (!request) return work->done(tl::unexpected(Refusal{request.error(), 500}));
        call.body = encode(*request);
        if (!work->node->session()) work->node->open_session();
        return work->node->session()->call(
            std::move(call), [this, work](const Answer<http::Response>& a) { enrolled(work, a); });
    }
    auto request = enrol_request(identity, work->network_id, work->introduction);
    if (!request) return work->done(tl::unexpected(Refusal{request.error(), 500}));
    call.body = encode(*request);
    work->registration = std::make_unique<Controller>(
        parts_.loop, by_proxy(registration_of(identity), parts_.config.proxy));
    work->registration->call(std::move(call),
                             [this, work](const Answer<http::Response>& a) { enrolled(work, a); });
}

void Agent::enrolled(const std::shared_ptr<Enrolling>& work, const Answer<http::Response>& answer) {
    const auto refuse = [&](Refusal why) {
        enrolment_trouble_ = why.error.message;
        log::warn("agent.enrolment_refused",
                  {{"status", why.status}, {"code", why.code}, {"error", why.error.message}});
        rest_if_down();
        work->done(tl::unexpected(std::move(why)));
    };
    if (!answer) return refuse(answer.error());
    // A logout may have come in between.
    work->node = node_of(work->tenant_id);
    if (!work->node)
        return refuse(refusal(409, "LOGGED_OUT", Code::Conflict, "logged out while enrolling"));
    Identity& identity = work->node->identity();
    Result<void> taken;
    const std::string in_force = work->node->map() ? identity.node_id() : "";
    if (work->is_join) {
        auto membership = model::decode<wire::NodeMembership>(answer->body, model::kDocument);
        if (!membership) taken = failed(membership.error());
        if (auto* keys = identity.network(work->network_id); membership && keys)
            keys->joined = true;
    } else {
        auto enrolment = model::decode<wire::Enrolment>(answer->body, model::kDocument);
        taken = enrolment ? accept(identity, *enrolment) : failed(enrolment.error());
    }
    if (taken) taken = work->node->save();
    if (!taken) return refuse(Refusal{taken.error().while_doing("enrolment"), 502, "ENROLMENT"});
    enrolment_trouble_.clear();
    log::info("agent.enrolled", {{"tenant", identity.kept.tenant_id},
                                 {"node", identity.node_id()},
                                 {"name", identity.name()},
                                 {"network", work->network_id}});
    if (work->is_join)
        work->node->session()->ask_now();
    else
        work->node->restart(in_force == identity.node_id());
    work->node->reports().set_inventory(work->introduction.inventory);
    work->done(work->node);
}

void Agent::bootstrap(const std::string& token, const Done<local::PlanView>& done) {
    is_watching_ = true;
    read_underlay();
    const auto poll = [this, done](const Answer<Node*>& ready) {
        if (!ready) return done(tl::unexpected(ready.error()));
        Node* node = *ready;
        if (!node->session()) node->open_session();
        const BootTime deadline = parts_.clock.since_boot() + std::chrono::seconds(kDefaultWait);
        next_ = parts_.loop.every(milliseconds(50), [this, node, done, deadline] {
            const bool is_over = parts_.clock.since_boot() >= deadline;
            if (node->state() == local::SelfState::Connecting && !is_over) return;
            next_.cancel();
            if (node->state() != local::SelfState::Connected)
                return done(tl::unexpected(
                    refusal(503, "NOT_CONNECTED", Code::Unavailable, what_is_missing())));
            auto view = plan();
            if (!view) return done(tl::unexpected(Refusal{view.error()}));
            done(*view);
        });
    };
    if (!token.empty()) return enrol(token, std::nullopt, poll);
    if (!self_node())
        return done(tl::unexpected(refusal(409, "NEEDS_ENROLMENT", Code::Conflict,
                                           "not enrolled: set CVLAN_TOKEN to a token")));
    poll(self_node());
}

Answer<local::DownResult> Agent::down() {
    if (auto saved = set_wanted(state::Wanted::Down); !saved)
        return tl::unexpected(Refusal{saved.error(), 500, "STATE_NOT_SAVED"});
    rest_if_down();
    for (int i = 0; i < 3 && !(i > 0 && is_quiet_); ++i) round(reconcile::Scope::Everything);
    if (!is_quiet_)
        return tl::unexpected(refusal(500, "NOT_DOWN", Code::Internal, what_is_missing()));
    log::info("agent.down", {});
    return local::DownResult{local::SelfState::Down};
}

// Forgets the identity and takes its tunnels away; first on the disk, so that after a failure
// everything is as it was. The Node may be calling us: it goes later.
Result<void> Agent::forget(Node& node) {
    if (auto removed = parts_.dir.remove_identity(node.identity().kept.tenant_id); !removed)
        return removed;
    std::vector<std::string> networks;
    for (const auto& network : node.identity().kept.networks)
        networks.push_back(network.network_id);
    node.close_session();
    std::erase_if(agent_.slots, [&](const auto& slot) {
        return std::find(networks.begin(), networks.end(), slot.network_id) != networks.end();
    });
    const auto at = std::find_if(nodes_.begin(), nodes_.end(),
                                 [&](const auto& one) { return one.get() == &node; });
    gone_.push_back(std::move(*at));
    nodes_.erase(at);
    burial_ = parts_.loop.after(milliseconds(0), [this] { gone_.clear(); });
    round(reconcile::Scope::Everything);
    return {};
}

void Agent::logout(const Done<local::LogoutResult>& done) {
    Node* node = self_node();
    if (!node)
        return done(tl::unexpected(
            refusal(409, "NEEDS_ENROLMENT", Code::Conflict, "this machine is not enrolled")));
    const auto finish = [this, done, tenant = node->identity().kept.tenant_id](
                            bool removed, const std::string& detail) {
        Node* left = node_of(tenant);
        if (auto forgotten = left ? forget(*left) : Result<void>(); !forgotten)
            return done(tl::unexpected(
                Refusal{forgotten.error().while_doing("logout"), 500, "STATE_NOT_SAVED"}));
        local::LogoutResult result;
        result.removed_at_controller = removed;
        if (!detail.empty()) result.detail = detail;
        log::info("agent.logged_out", {{"tenant", tenant}, {"removed", removed}});
        done(result);
    };
    if (node->identity().kept.phase == state::Phase::Deleted) return finish(true, "");
    if (!node->identity().is_enrolled())
        return finish(false,
                      "the controller does not take requests of this node any more; "
                      "an administrator has to delete it there");
    if (!node->session()) node->open_session();
    Controller::Call call{"DELETE", "/api/v1/node", "", std::chrono::seconds(10)};
    node->session()->call(std::move(call), [finish](const Answer<http::Response>& answer) {
        const bool is_gone = answer || refused_of(answer.error()) == enrolee::Refused::Deleted;
        finish(is_gone,
               is_gone ? "" : "not removed at the controller: " + answer.error().error.message);
    });
}

bool Agent::is_converged(const Waiter& waiter) {
    if (!is_quiet_ || !problems_.empty()) return false;
    bool has_any = false;
    for (auto& node : nodes_) {
        if (!waiter.tenant_id.empty() && node->identity().kept.tenant_id != waiter.tenant_id)
            continue;
        if (node->identity().kept.phase == state::Phase::Pending) continue;
        const auto map = node->map();
        if (!map || (!waiter.network_id.empty() && !map->networks.contains(waiter.network_id)))
            return false;
        has_any = true;
    }
    return has_any;
}

std::string Agent::what_is_missing() {
    if (!problems_.empty()) return fmt::format("{}", fmt::join(problems_, "; "));
    for (auto& node : nodes_) {
        if (node->identity().kept.phase == state::Phase::Pending) continue;
        if (!node->trouble().empty()) return node->trouble();
        if (!node->map()) return "no map of the controller has arrived yet";
    }
    return "the kernel is not as the map wants it yet";
}

local::UpResult Agent::up_result(bool converged, const std::string& tenant_id) {
    local::UpResult result;
    result.converged = converged;
    const Node* node = tenant_id.empty() ? self_node() : node_of(tenant_id);
    if (node) {
        const auto self = self_status(*node);
        result.state = self.state;
        result.name = self.name;
        result.addresses = self.addresses;
    }
    if (!converged) result.detail = what_is_missing();
    return result;
}

void Agent::answer_waiters() {
    const BootTime now = parts_.clock.since_boot();
    std::vector<std::pair<Waiter, bool>> ready;
    for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
        const bool converged = is_converged(*waiter);
        const Node* node = waiter->tenant_id.empty() ? nullptr : node_of(waiter->tenant_id);
        const bool is_hopeless = is_wanted_up() ? node && !node->identity().is_enrolled() : true;
        if (!converged && !is_hopeless && now < waiter->deadline) {
            ++waiter;
            continue;
        }
        ready.emplace_back(std::move(*waiter), converged);
        waiter = waiters_.erase(waiter);
    }
    for (auto& [waiter, converged] : ready) waiter.done(up_result(converged, waiter.tenant_id));
}

}  // namespace cvlan::agent
