// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/node.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "daemons/agent/enrolment.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

namespace {

constexpr std::chrono::minutes kSaveClock{10};
constexpr std::chrono::hours kExpiryWarning{72};
constexpr std::chrono::seconds kClockTolerance{60};
constexpr int kClockFormat = 1;

std::string clock_path(const StateDir& dir, const std::string& tenant) {
    return dir.folder_of(tenant) + "/map_clock.json";
}

state::Phase phase_of(enrolee::Refused refused) {
    if (refused == enrolee::Refused::Expired) return state::Phase::Expired;
    if (refused == enrolee::Refused::Revoked) return state::Phase::Revoked;
    return state::Phase::Deleted;
}

}  // namespace

Node::Node(NodeContext context, Identity identity)
    : context_(std::move(context)),
      identity_(std::move(identity)),
      life_(context_.clock, context_.boot_id),
      renewal_(context_.clock, identity_,
               {[this] { return save(); }, [this] { renewed(); },
                [this](const Error& error) {
                    log::warn("agent.renewal_failed",
                              {{"tenant", identity_.kept.tenant_id}, {"error", error.message}});
                }}),
      reports_(context_.clock),
      traffic_(context_.clock) {
    make_store();
}

void Node::make_store() {
    auto keys = identity_.map_keys();
    if (!keys) map_trouble_ = keys.error().message;
    store_ = std::make_unique<MapStore>(context_.dir.folder_of(identity_.kept.tenant_id),
                                        MapOwner{identity_.kept.tenant_id, identity_.node_id()},
                                        keys ? std::move(*keys) : std::vector<pki::VerifyKey>{});
}

void Node::load_map() {
    auto loaded = store_->load();
    if (loaded) {
        used_previous_map_ = loaded->used_previous;
    } else if (loaded.error().code != Code::NotFound) {
        map_trouble_ = loaded.error().message;
        has_lost_map_ = true;
        log::error("agent.map_unusable",
                   {{"tenant", identity_.kept.tenant_id}, {"error", map_trouble_}});
    }
    if (!store_->head()) return;
    auto file = load_state(clock_path(context_.dir, identity_.kept.tenant_id), kClockFormat);
    auto saved = file ? model::decode<state::MapClock>(file->content, model::kDocument)
                      : failed(file.error());
    state::MapClock clock;
    if (saved) {
        clock = *saved;
    } else {  // lost: the signature's own time, as far as the wall clock can be believed
        clock.wall = std::min(store_->head()->issued_at, context_.clock.now());
    }
    life_.restore(clock);
}

std::shared_ptr<const model::NetworkMap> Node::map() const {
    if (!identity_.is_enrolled() || !store_->map()) return nullptr;
    const bool is_over = life_.left(*store_->head()) <= milliseconds(0);
    if (!is_over || store_->map()->expiry == wire::MapExpiry::Keep) return store_->map();
    auto without_peers = std::make_shared<model::NetworkMap>(*store_->map());
    for (auto& [id, network] : without_peers->networks) network.peers.clear();
    return without_peers;
}

void Node::open_session() {
    if (!identity_.is_enrolled()) return;
    enrolee::SessionEvents events;
    events.since = [this] { return store_->since(); };
    events.on_map = [this](const wire::NodeMap& answer) { return took(answer); };
    events.on_time = [this](WallTime theirs) {
        clock_ahead_ = context_.clock.now() - theirs;
        is_asked_ = true;
    };
    events.on_confirmed = [this] { confirmed(); };
    events.on_failure = [this](const Refusal& refusal) { failed_with(refusal); };
    Session::Setup setup = Session::setup_of(identity_);
    setup.controller = by_proxy(std::move(setup.controller), context_.proxy);
    close_session();
    session_ = std::make_unique<Session>(context_.loop, std::move(setup), std::move(events));
    link_ = Link::Trying;
    reports_.begin();
    session_->start();
}

void Node::close_session() {
    // The session may be the one that calls us: it goes when the loop is back.
    if (session_) ended_ = std::move(session_);
    renewal_.forget();
    is_asked_ = true;
    burial_ = context_.loop.after(milliseconds(0), [this] { ended_.reset(); });
    link_ = Link::Idle;
    trouble_.clear();
}

void Node::ask() {
    if (!session_) return;
    is_asked_ = false;
    session_->ask_now();
}

void Node::restart(bool keeps_map) {
    auto keys = identity_.map_keys();
    if (keeps_map && keys)
        store_->set_keys(std::move(*keys));
    else
        make_store();
    has_lost_map_ = false;
    is_superseded_ = false;
    map_trouble_.clear();
    open_session();
}

bool Node::took(const wire::NodeMap& answer) {
    const auto old_head = store_->head();
    auto taken = store_->take(answer);
    if (!taken) {
        map_trouble_ = taken.error().message;
        log::warn("agent.map_refused",
                  {{"tenant", identity_.kept.tenant_id}, {"error", map_trouble_}});
        if (taken.error().code == Code::Conflict) store_->forget_revision();
        return false;
    }
    if (!old_head || old_head->issued_at < store_->head()->issued_at) life_.signed_anew();
    map_trouble_.clear();
    life_.confirmed();
    if (!*taken) return false;
    log::info("agent.map", {{"tenant", identity_.kept.tenant_id},
                            {"revision", store_->since()},
                            {"networks", store_->map()->networks.size()}});
    // On disk before it is in force: what the kernel is told survives a power failure.
    save_map();
    save_clock();
    context_.on_change();
    return true;
}

void Node::confirmed() {
    life_.confirmed();
    trouble_.clear();
    is_superseded_ = false;
    is_intercepted_ = false;
    if (link_ != Link::Reached) {
        log::info("agent.controller_reached", {{"tenant", identity_.kept.tenant_id}});
        link_ = Link::Reached;
        reports_.forget();
        context_.on_change();
    }
    tick();
}

void Node::failed_with(const Refusal& refusal) {
    if (trouble_ != refusal.error.message)
        log::warn("agent.controller_unreachable", {{"tenant", identity_.kept.tenant_id},
                                                   {"status", refusal.status},
                                                   {"error", refusal.error.message}});
    trouble_ = refusal.error.message;
    link_ = Link::Unreachable;
    is_asked_ = true;
    // Not where a proxy said no, or where it may be our own certificate.
    const bool is_stranger = refusal.status == 0 && refusal.error.code == Code::Denied &&
                             context_.proxy.empty() && !needs_token();
    is_intercepted_ = is_stranger ? std::optional(true) : std::nullopt;
    // An older state folder came back. Nothing is wrong with the tunnels.
    if (refusal.code == "CERTIFICATE_SUPERSEDED") is_superseded_ = true;
    const enrolee::Refused refused = refused_of(refusal);
    if (refused != enrolee::Refused::No && phase_of(refused) != identity_.kept.phase) {
        identity_.kept.phase = phase_of(refused);
        log::error("agent.node_refused",
                   {{"tenant", identity_.kept.tenant_id}, {"code", refusal.code}});
        (void)save();  // what could not be saved is told by health
    }
    context_.on_change();
}

Result<void> Node::save() {
    auto saved = context_.dir.save_identity(identity_);
    save_trouble_ = saved ? "" : saved.error().message;
    if (!saved) log::error("agent.state_not_saved", {{"error", save_trouble_}});
    return saved;
}

void Node::save_map() {
    auto saved = store_->save();
    const std::string trouble = saved ? "" : saved.error().message;
    if (!saved && trouble != map_save_trouble_)
        log::error("agent.state_not_saved", {{"error", trouble}});
    map_save_trouble_ = trouble;
}

void Node::save_clock() {
    if (!store_->head()) return;
    clock_saved_at_ = context_.clock.since_boot();
    auto saved = save_state(clock_path(context_.dir, identity_.kept.tenant_id), kClockFormat,
                            encode(life_.state()));
    clock_trouble_ = saved ? "" : saved.error().message;
}

void Node::tick() {
    if (!map_save_trouble_.empty()) save_map();
    if (context_.clock.since_boot() - clock_saved_at_ > kSaveClock) save_clock();
    if (!session_ || link_ != Link::Reached) return;
    reports_.push(*session_);
    renewal_.ask_if_due(*session_);
}

void Node::renewed() {
    log::info("agent.certificate_renewed", {{"tenant", identity_.kept.tenant_id}});
    auto keys = identity_.map_keys();
    if (keys) store_->set_keys(std::move(*keys));
    open_session();
}

local::SelfState Node::state() const {
    switch (identity_.kept.phase) {
        case state::Phase::Pending:
        case state::Phase::Deleted:
            return local::SelfState::NeedsEnrolment;
        case state::Phase::Expired:
            return local::SelfState::Expired;
        case state::Phase::Revoked:
            return local::SelfState::Revoked;
        case state::Phase::Enrolled:
            break;
    }
    if (link_ == Link::Reached && store_->map()) return local::SelfState::Connected;
    if (link_ != Link::Unreachable) return local::SelfState::Connecting;
    return needs_token() ? local::SelfState::Expired : local::SelfState::ControllerUnreachable;
}

bool Node::needs_token() const {
    if (link_ == Link::Reached) return false;  // whatever our clock says
    const auto times = certificate_times(identity_);
    return is_superseded_ || (times && times->not_after < context_.clock.now());
}

std::vector<local::HealthItem> Node::health() const {
    std::vector<local::HealthItem> items;
    const auto add = [&](const char* code, const char* severity, std::string message) {
        items.push_back({code, severity, std::move(message)});
    };
    const bool is_down = link_ == Link::Unreachable;
    if (identity_.kept.phase == state::Phase::Deleted)
        add("NODE_DELETED", "error", "this node was deleted at the controller; enrol it anew");
    if (is_down && !trouble_.empty()) add("CONTROLLER", "warning", trouble_);
    if (!map_trouble_.empty()) add("MAP", "error", map_trouble_);
    for (const std::string& trouble : {save_trouble_, map_save_trouble_, clock_trouble_})
        if (!trouble.empty()) add("STATE_NOT_SAVED", "error", trouble);
    if (std::chrono::abs(clock_ahead_) > kClockTolerance)
        add("CLOCK", "warning",
            fmt::format(
                "the clock of this machine is {} s {} the controller's",
                std::chrono::duration_cast<std::chrono::seconds>(std::chrono::abs(clock_ahead_))
                    .count(),
                clock_ahead_ > milliseconds(0) ? "ahead of" : "behind"));
    if (identity_.used_previous)
        add("STATE_PREVIOUS", "warning", "identity.json was damaged; the previous one is used");
    if (used_previous_map_)
        add("MAP_PREVIOUS", "warning", "map.json was damaged; the previous one is used");
    if (store_->map())
        for (const std::string& line : store_->map()->refused) add("MAP_REFUSED", "warning", line);
    if (store_->head()) {
        const auto left = life_.left(*store_->head());
        const bool drops = store_->map()->expiry == wire::MapExpiry::Drop;
        if (left <= milliseconds(0))
            add("MAP_EXPIRED", "error",
                drops ? "the map has run out; peers are dropped until the controller answers"
                      : "the map has run out; it is kept, so a revoked peer would stay");
        else if (left < milliseconds(kExpiryWarning))
            add("MAP_EXPIRES", "warning",
                fmt::format("the map runs out in {} h",
                            std::chrono::duration_cast<std::chrono::hours>(left).count()));
    }
    auto times = certificate_times(identity_);
    if (times && times->not_after - context_.clock.now() < milliseconds(kExpiryWarning))
        add("CERTIFICATE_EXPIRES", "warning",
            "the certificate runs out at " + rfc3339(times->not_after));
    return items;
}

}  // namespace cvlan::agent
