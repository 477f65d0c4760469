// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/relay_links.h"

#include <algorithm>

#include "base/log.h"
#include "daemons/agent/relay_links_state.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

namespace {

// While something is about to happen, and while all is well.
constexpr milliseconds kClose{500};
constexpr milliseconds kCalm{5'000};
constexpr milliseconds kMuted{1'500};
// Of a session that is told to be silent: it has been for longer.
constexpr milliseconds kSilentFor{1'000};

}  // namespace

std::string RelayLinks::State::Tenant::memberships() const {
    std::string all;
    for (const auto& network : member.networks)
        all += network.network_id + " " + network.own.text() + "\n";
    return all;
}

RelayLinks::State::State(EventLoop& on, const Clock& now, RelayLinks::Options what, RelaySeam to)
    : loop(on), clock(now), jitter(what.seed), options(std::move(what)), seam(std::move(to)) {}

void RelayLinks::State::soon() {
    next = loop.after(milliseconds(0), [this] { step(); });
}

void RelayLinks::State::step() {
    const BootTime now = clock.since_boot();
    note_needs();
    for (auto& [id, tenant] : tenants) {
        choose_home(*tenant, now);
        open_links(*tenant, now);
        for (auto& [relay_id, link] : tenant->links) look_for(link, now);
    }
    for (PeerEntry& entry : peers) step_pair(entry, now);
    tell_places(now);
    if (std::exchange(is_changed, false)) seam.on_changed();
    wait_for_next(now);
}

void RelayLinks::State::wait_for_next(BootTime now) {
    BootTime due = BootTime::max();
    for (const auto& [id, tenant] : tenants) {
        bool has_links = false;
        for (const auto& [relay_id, link] : tenant->links) {
            if (!link.client) continue;
            has_links = true;
            due = std::min(due, now + (link.down_since ? kClose : kCalm));
        }
        if (has_links) due = std::min(due, tenant->grants->due());
        if (tenant->first_at && tenant->home.id().empty()) due = std::min(due, now + kClose);
    }
    for (const auto& [key, peer] : peers) {
        due = std::min(due, peer.pairing.deadline());
        if (peer.needs_pair && peer.pair_relay.empty()) due = std::min(due, now + kClose);
    }
    if (due == BootTime::max()) return next.cancel();
    next = loop.after(std::max(due - now, milliseconds(1)), [this] { step(); });
}

void RelayLinks::State::set_members(std::vector<RelayMember> members) {
    bool has_changed = std::erase_if(tenants, [&](const auto& one) {
        const bool stays = std::any_of(members.begin(), members.end(), [&](const auto& member) {
            return member.tenant_id == one.first && member.node_id == one.second->member.node_id;
        });
        if (!stays) forget_peers_of(*one.second);
        return !stays;
    });
    for (RelayMember& member : members) {
        auto& tenant = tenants[member.tenant_id];
        if (!tenant) {
            tenant = std::make_unique<Tenant>();
            // The call is looked up when it is made: a later session has another.
            Tenant* raw = tenant.get();
            tenant->grants = std::make_unique<Grants>(Grants::Setup{
                clock,
                [raw](Controller::Call call, Controller::Done done) {
                    return raw->member.call(std::move(call), std::move(done));
                },
                [this, raw] {
                    for (auto& [id, link] : raw->links)
                        if (link.client) link.client->set_grants(raw->grants->json());
                    soon();
                },
                options.seed, member.folder.empty() ? "" : member.folder + "/relay_grants.json"});
        }
        has_changed = take(*tenant, std::move(member)) || has_changed;
    }
    if (!has_changed) return;
    is_changed = true;
    soon();
}

// True where peers or relays may be others.
bool RelayLinks::State::take(Tenant& tenant, RelayMember member) {
    take_certificate(tenant, member);
    const bool is_same =
        member.map == tenant.member.map && member.networks == tenant.member.networks;
    // What is known of peers points into the list there was, which so stays where it is.
    if (is_same) member.networks = std::move(tenant.member.networks);
    tenant.member = std::move(member);
    if (is_same) return false;
    take_relays(tenant);
    take_peers(tenant);
    return true;
}

void RelayLinks::State::take_certificate(Tenant& tenant, const RelayMember& member) {
    if (tenant.tls && member.certificate_pem == tenant.member.certificate_pem) return;
    Credentials own = member.credentials();
    auto tls = http::client_tls({.trust = std::move(own.trust),
                                 .certificate_pem = std::move(own.certificate_pem),
                                 .private_key_pem = std::move(own.private_key_pem)});
    if (!tls) {
        log::error("agent.relay_identity",
                   {{"tenant", member.tenant_id}, {"error", tls.error().message}});
        return;
    }
    tenant.tls = std::move(*tls);
    for (auto& [id, link] : tenant.links)
        if (link.client) link.client->set_tls(tenant.tls);
}

void RelayLinks::State::take_relays(Tenant& tenant) {
    static const std::map<std::string, model::MapRelay> kNone;
    const auto& map = tenant.member.map;
    const auto& relays = map ? map->relays : kNone;
    // One with other endpoints is another one.
    std::erase_if(tenant.links, [&](const auto& one) {
        const auto now = relays.find(one.first);
        return now == relays.end() || now->second.endpoints != one.second.relay.endpoints ||
               now->second.node_id != one.second.relay.node_id;
    });
    std::vector<std::string> ids;
    for (const auto& [id, relay] : relays) {
        tenant.links[id].relay = relay;
        ids.push_back(id);
    }
    tenant.order = order_of(std::move(ids), tenant.member.node_id);
    if (tenant.links.empty()) tenant.first_at.reset();
}

std::optional<milliseconds> RelayLinks::State::udp_round_trip(const model::MapRelay& relay) const {
    std::optional<milliseconds> best;
    for (const Endpoint& tls : relay.endpoints) {
        const auto one = seam.round_trip({tls.address, relay.stun_port});
        if (one && (!best || *one < *best)) best = one;
    }
    return best;
}

void RelayLinks::State::choose_home(Tenant& tenant, BootTime now) {
    if (tenant.links.empty()) return;
    if (!tenant.first_at) tenant.first_at = now;
    std::vector<HomeRelay::Relay> choices;
    for (const std::string& id : tenant.order) {
        const Link& link = tenant.links.at(id);
        auto round_trip = udp_round_trip(link.relay);
        const auto tls = link.client ? link.client->round_trip() : std::nullopt;
        if (tls && !round_trip) round_trip = std::chrono::ceil<milliseconds>(*tls);
        const bool is_proven = tls && !link.down_since && !link.granted.empty();
        choices.push_back({id, round_trip, link.down_since, is_proven});
    }
    const bool is_early = !is_measured && now - *tenant.first_at < kFirstChoice;
    if (tenant.home.id().empty() && is_early && choices.size() > 1) return;
    const std::string before = tenant.home.id();
    const std::string& home = tenant.home.choose(choices, now);
    if (home != before)
        log::info("agent.home_relay", {{"tenant", tenant.member.tenant_id},
                                       {"relay", tenant.links.at(home).relay.name}});
    // Others are told of it once we can be found there, or will be when somebody needs us.
    const Link& link = tenant.links.at(home);
    const bool is_good = !link.granted.empty() || udp_round_trip(link.relay).has_value();
    if (home != tenant.reported && is_good) {
        tenant.reported = home;
        is_changed = true;
    }
}

// No relay answers by UDP.
bool RelayLinks::State::is_deaf(const Tenant& tenant) const {
    return std::none_of(tenant.links.begin(), tenant.links.end(), [this](const auto& one) {
        return udp_round_trip(one.second.relay).has_value();
    });
}

std::set<std::string> RelayLinks::State::wanted_links(Tenant& tenant, BootTime now) const {
    std::set<std::string> wanted;
    if (tenant.known.empty()) return wanted;
    if (!tenant.home.id().empty()) wanted.insert(tenant.home.id());
    const BootTime since = tenant.known_since ? now - *tenant.known_since : BootTime(0);
    if (since >= kProbeAfter && since < kProbeUntil && is_deaf(tenant))
        for (const std::string& id : tenant.order)
            if (wanted.size() < kMostProbes) wanted.insert(id);
    // Those that were left are tried where they may be back, and where there is no better one.
    for (const std::string& id : tenant.order) {
        if (!tenant.home.is_left(id) || wanted.size() >= kMostProbes) continue;
        const bool may_be_back = udp_round_trip(tenant.links.at(id).relay).has_value();
        if (may_be_back || tenant.home.is_left(tenant.home.id())) wanted.insert(id);
    }
    for (const auto& [key, peer] : peers) {
        if (peer.tenant != &tenant || wanted.size() >= kMostLinks) continue;
        if (!peer.pair_relay.empty()) wanted.insert(peer.pair_relay);
        if (!is_active(peer, now)) continue;
        for (const std::string* id : {&peer.known.peer->relay_id, &relay_of_pair(peer)})
            if (tenant.links.contains(*id)) wanted.insert(*id);
    }
    return wanted;
}

void RelayLinks::State::open_links(Tenant& tenant, BootTime now) {
    const auto wanted = wanted_links(tenant, now);
    if (!wanted.empty()) tenant.grants->step(tenant.memberships());
    for (auto& [id, link] : tenant.links) {
        if (wanted.contains(id)) {
            link.wanted_at = now;
            if (!link.client) open(tenant, link, now);
        } else if (link.client && now - link.wanted_at >= kUsedFor) {
            link.client.reset();
            link.granted.clear();
            link.down_since.reset();
        }
    }
}

// A proxy finds its own way.
std::vector<Endpoint> RelayLinks::State::ways_to(const model::MapRelay& relay) const {
    std::vector<Endpoint> ways = relay.endpoints;
    if (nat64 && !options.proxy)
        for (Endpoint& one : ways) one = nat64->to_send(one);
    return ways;
}

void RelayLinks::State::open(Tenant& tenant, Link& link, BootTime now) {
    if (!tenant.tls) return;
    relay::ClientOptions to;
    to.endpoints = ways_to(link.relay);
    to.server_name = fmt::format("{}.{}.{}", link.relay.node_id, tenant.member.tenant_id,
                                 tenant.member.trust_domain);
    to.tls = tenant.tls;
    if (options.proxy) to.proxy = options.proxy->clone();
    to.fwmark = options.fwmark;
    to.seed = options.seed;
    link.down_since = now;
    link.probe_at = now + jitter.below(kProbeEvery);
    auto client = relay::Client::open(loop, std::move(to), events_of(tenant, link));
    if (!client) return;  // a relay without an endpoint is in no map
    link.client = std::move(*client);
    link.client->set_grants(tenant.grants->json());
}

// A session's pauses grow to a minute. Who answers STUN again is worth an attempt at once, but for
// all its nodes not in the same moment.
void RelayLinks::State::look_for(Link& link, BootTime now) {
    if (!link.client || !link.down_since) {
        link.was_deaf = false;
        link.probe_at = now + jitter.below(kProbeEvery);
        return;
    }
    const bool answers = udp_round_trip(link.relay).has_value();
    if (answers && link.was_deaf) link.client->hurry(jitter.below(kReturn));
    link.was_deaf = !answers;
    if (now < link.probe_at) return;
    link.probe_at = now + jitter.around(kProbeEvery);
    for (const Endpoint& tls : link.relay.endpoints)
        seam.probe({tls.address, link.relay.stun_port});
}

// Whether a session can carry anything.
void RelayLinks::State::follow_life(relay::ClientEvents& events, Link& link) {
    events.on_up = [this, &link](const relay::Hello&) {
        link.down_since.reset();
        soon();
    };
    events.on_down = [this, &link](const Error&) {
        link.granted.clear();
        if (!link.down_since) link.down_since = clock.since_boot();
        soon();
    };
    events.on_silent = [this, &link] {
        if (!link.down_since) link.down_since = clock.since_boot() - kSilentFor;
        soon();
    };
    events.on_heard = [this, &link] {
        link.down_since.reset();
        soon();
    };
}

void RelayLinks::State::refused(Tenant& tenant, Link& link, relay::Fault code) {
    using relay::Fault;
    if (code == Fault::PairRefused || code == Fault::Limit) return pairs_refused(tenant, link);
    // Who believes none of our grants, perhaps since its clock is wrong, is as good as down.
    const bool is_useless = code == Fault::GrantRefused && link.granted.empty();
    if (!is_useless || link.down_since) return;
    link.down_since = clock.since_boot();
    soon();
}

relay::ClientEvents RelayLinks::State::events_of(Tenant& tenant, Link& link) {
    relay::ClientEvents events;
    follow_life(events, link);
    events.on_granted = [this, &link](const relay::Key& own) {
        link.granted.insert(own);
        link.down_since.reset();
        soon();
    };
    events.on_refused = [this, &tenant, &link](relay::Fault code, const std::string& text) {
        if (const auto left_out = warnings.due("relay_refused " + link.relay.id))
            log::info("agent.relay_refused",
                      {{"relay", link.relay.name}, {"error", text}, {"left_out", *left_out}});
        refused(tenant, link, code);
    };
    events.on_packet = [this, &tenant](const relay::Key& source, ByteView packet) {
        from_relay(tenant, source, packet);
    };
    events.on_peer_gone = [this, &link](const relay::Key& peer, relay::Gone) {
        link.gone[peer] = clock.since_boot() + kGoneFor;
    };
    events.on_offer = [this, &tenant, &link](const relay::Offer& offer) {
        if (Peer* peer = peer_of_pair(tenant, offer.pair, link))
            peer->pairing.offered(offer, clock.since_boot());
        soon();
    };
    events.on_ready = [this, &tenant, &link](const relay::Ready& ready) {
        if (Peer* peer = peer_of_pair(tenant, ready.pair, link))
            peer->pairing.ready(ready.at, clock.since_boot());
        soon();
    };
    events.on_unpaired = [this, &tenant, &link](const relay::Unpair& unpair) {
        const bool is_peers = unpair.reason == relay::Unpaired::Peer;
        Peer* peer = peer_of_pair(tenant, unpair.pair, link);
        if (!peer) return;
        peer->pairing.ended();
        peer->pair_relay.clear();
        peer->pair_again = clock.since_boot() +
                           (is_peers ? milliseconds(kPairPause) : milliseconds(kRefusedPairPause));
        soon();
    };
    return events;
}

RelayLinks::RelayLinks(EventLoop& loop, const Clock& clock, Options options, RelaySeam seam)
    : state_(std::make_unique<State>(loop, clock, std::move(options), std::move(seam))) {}
RelayLinks::~RelayLinks() = default;

void RelayLinks::set_members(std::vector<RelayMember> members) {
    state_->set_members(std::move(members));
}

void RelayLinks::set_nat64(const std::optional<reach::Nat64>& nat64) {
    if (nat64 == state_->nat64) return;
    state_->nat64 = nat64;
    for (auto& [id, tenant] : state_->tenants)
        for (auto& [relay_id, link] : tenant->links)
            if (link.client) link.client->set_endpoints(state_->ways_to(link.relay));
}

void RelayLinks::set_needs(std::vector<PeerNeed> needs) {
    const auto is_same = [](const PeerNeed& a, const PeerNeed& b) {
        return a.key == b.key && a.relay == b.relay && a.pair == b.pair;
    };
    const bool has_changed = !std::equal(needs.begin(), needs.end(), state_->needs.begin(),
                                         state_->needs.end(), is_same);
    if (!has_changed) return;
    state_->needs = std::move(needs);
    state_->soon();
}

void RelayLinks::prefer_port(uint16_t port) { state_->loopback_port = port; }

uint16_t RelayLinks::port() const { return state_->loopback ? state_->loopback->port() : 0; }

void RelayLinks::measured() {
    state_->is_measured = true;
    // At once, so that the report which follows has the home.
    for (auto& [id, tenant] : state_->tenants)
        state_->choose_home(*tenant, state_->clock.since_boot());
    state_->soon();
}

void RelayLinks::network_changed() {
    const BootTime now = state_->clock.since_boot();
    state_->is_measured = false;
    for (auto& [id, tenant] : state_->tenants) {
        tenant->home.network_changed();
        tenant->grants->session_ended();
        if (tenant->known_since) tenant->known_since = now;
        for (auto& [relay_id, link] : tenant->links) {
            if (link.down_since) link.down_since = now;  // it has not been tried from here
            if (link.client) link.client->network_changed();
        }
    }
    for (auto& [key, peer] : state_->peers) peer.pairing.network_changed(now);
    state_->soon();
}

// Where no relay answers by UDP some are connected to, as after a change of the network.
void RelayLinks::measure() {
    for (auto& [id, tenant] : state_->tenants) {
        if (tenant->known_since) tenant->known_since = state_->clock.since_boot() - kProbeAfter;
        for (auto& [relay_id, link] : tenant->links)
            if (link.client) link.client->measure();
    }
    state_->soon();
}

void RelayLinks::moved(const PathKey& key, const Endpoint& to) {
    State::Peer* peer = state_->peer_at(key);
    if (!peer) return;
    const bool is_away = to != peer->loopback;
    peer->muted_until = is_away ? state_->clock.since_boot() + kMuted : BootTime(0);
}

void RelayLinks::took_bind(const std::string& device, const Endpoint& from,
                           const stun::Message& message) {
    const BootTime now = state_->clock.since_boot();
    const auto first = state_->peers.lower_bound({device, wg::PublicKey()});
    for (auto it = first; it != state_->peers.end() && it->first.first == device; ++it)
        if (it->second.pairing.answered(from, message, now)) return state_->soon();
}

std::vector<Endpoint> RelayLinks::stun_servers() const {
    std::set<Endpoint> all;
    for (const auto& [id, tenant] : state_->tenants)
        for (const auto& [relay_id, link] : tenant->links)
            for (const Endpoint& tls : link.relay.endpoints)
                all.insert({tls.address, link.relay.stun_port});
    return {all.begin(), all.end()};
}

std::optional<std::string> RelayLinks::home_relay(const std::string& tenant_id) const {
    const auto tenant = state_->tenants.find(tenant_id);
    if (tenant == state_->tenants.end() || tenant->second->reported.empty()) return std::nullopt;
    return tenant->second->reported;
}

std::vector<RelayView> RelayLinks::relays() const {
    std::vector<RelayView> views;
    for (const auto& [id, tenant] : state_->tenants)
        for (const auto& [relay_id, link] : tenant->links) {
            RelayView view{id, relay_id, link.relay.name, link.relay.region};
            view.is_home = relay_id == tenant->home.id();
            view.udp = state_->udp_round_trip(link.relay);
            if (const auto tls = link.client ? link.client->round_trip() : std::nullopt)
                view.tls = std::chrono::ceil<milliseconds>(*tls);
            views.push_back(std::move(view));
        }
    const auto distance = [](const RelayView& view) {
        return view.udp.value_or(view.tls.value_or(milliseconds::max()));
    };
    std::stable_sort(views.begin(), views.end(), [&](const RelayView& a, const RelayView& b) {
        return distance(a) < distance(b);
    });
    return views;
}

void RelayLinks::step() { state_->step(); }

}  // namespace cvlan::agent
