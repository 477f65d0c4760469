// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/pathfinder.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

namespace {

// Between two looks at the kernel, whoever wants them.
constexpr milliseconds kObservePause{250};
// Until it shows what a write did, a handshake included.
constexpr milliseconds kAfterWrite{400};
// The same for a session that is due: nothing is sent until it stands.
constexpr milliseconds kObserveStart{50};
// The kernel's own first handshake may be on its way just now.
constexpr milliseconds kStartFirst{100};
constexpr milliseconds kStartSecond{1'000};
constexpr int kMostWaits = 2;
constexpr milliseconds kStartAgain{6'000};  // behind the kernel's own repetition
constexpr milliseconds kStartPause{60'000};
// In which a handshake that has begun is through: four round trips.
constexpr milliseconds kLeastThrough{250};
constexpr milliseconds kAsking{1'500};
constexpr milliseconds kSlept{15'000};  // as reach::Paths sees it
constexpr milliseconds kDoubt{10'000};
constexpr milliseconds kLongest{4'000};

uint32_t random_seed() {
    const Bytes bytes = random_bytes(4);
    return static_cast<uint32_t>(bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
}

reach::Sighting sighting_of(const wg::Peer& peer) {
    return {peer.endpoint, peer.last_handshake, peer.rx_bytes, peer.tx_bytes,
            peer.keepalive_seconds > 0};
}

}  // namespace

Pathfinder::Pathfinder(EventLoop& loop, const Clock& clock, PathSockets& sockets, Events events)
    : loop_(loop),
      clock_(clock),
      sockets_(sockets),
      events_(std::move(events)),
      paths_(random_seed()) {
    sockets_.set_receiver([this](const std::string& device, const reach::RawUdp::Incoming& got) {
        came(device, got);
    });
}

void Pathfinder::follow(std::vector<Network> networks) {
    std::map<std::string, uint16_t> ports;
    for (const Network& network : networks) ports[network.device] = network.port;
    std::erase_if(devices_, [&](const auto& entry) {
        if (ports.contains(entry.first)) return false;
        for (const wg::PublicKey& peer : entry.second.peers) drop({entry.first, peer});
        return true;
    });
    sockets_.set(ports);
    for (Network& network : networks) {
        const auto [found, is_new] = devices_.try_emplace(network.device, random_seed());
        follow(found->second, std::move(network));
        if (is_new) set_servers(found->second);
    }
    serve_soon();
}

void Pathfinder::follow(Device& device, Network network) {
    const bool is_same = device.network.map == network.map && device.network.key == network.key;
    if (!(device.network.key == network.key)) device.keys.clear();
    device.network = std::move(network);
    if (is_same) return;
    std::set<wg::PublicKey> before = std::exchange(device.peers, {});
    const auto place = device.network.map->networks.find(device.network.network_id);
    if (place != device.network.map->networks.end())
        for (const auto& [id, peer] : place->second.peers) {
            const auto key = wg::PublicKey::parse(peer.wireguard_key);
            if (!key) continue;
            device.peers.insert(*key);
            paths_.set_peer({device.network.device, *key}, peer.endpoints, clock_.since_boot());
        }
    for (const wg::PublicKey& peer : before)
        if (!device.peers.contains(peer)) {
            drop({device.network.device, peer});
            device.keys.erase(peer);
        }
}

void Pathfinder::drop(const PathKey& key) {
    paths_.remove(key);
    starts_.erase(key);
    seen_.erase(key);
}

void Pathfinder::set_underlay(const reach::Underlay& underlay) {
    if (underlay == underlay_) return;
    underlay_ = underlay;
    const BootTime now = clock_.since_boot();
    paths_.set_underlay(underlay, now);
    for (auto& [name, device] : devices_) {
        for (const Family family : {Family::V4, Family::V6})
            device.discovery(family).network_changed(now);
        device.asking_until = now + kAsking;
    }
    serve_soon();
}

void Pathfinder::set_servers(const std::vector<Endpoint>& stun_servers) {
    if (stun_servers == servers_) return;
    servers_ = stun_servers;
    std::set<Address> relays;
    for (const Endpoint& one : servers_) relays.insert(one.address);
    paths_.set_relays(std::move(relays));
    for (auto& [name, device] : devices_) set_servers(device);
    serve_soon();
}

void Pathfinder::set_servers(Device& device) {
    const BootTime now = clock_.since_boot();
    for (const Family family : {Family::V4, Family::V6}) {
        std::vector<Endpoint> servers;
        for (const Endpoint& one : servers_)
            if (one.address.family() == family) servers.push_back(one);
        device.discovery(family).set_servers(servers, now);
    }
    device.asking_until = now + kAsking;
}

void Pathfinder::set_relayed(const PathKey& key, const RelayedPlaces& places) {
    std::vector<reach::Candidate> relayed;
    if (places.udp) relayed.push_back({*places.udp, reach::Way::RelayUdp});
    // charon and ESP know no way through TLS; checks do, and so the other side is told to try.
    const bool carries = !reconcile::is_xfrm_device(key.first);
    if (places.tls) relayed.push_back({*places.tls, reach::Way::RelayTls, carries});
    paths_.set_relayed(key, relayed, clock_.since_boot());
    serve_soon();
}

void Pathfinder::set_places(const std::string& device, std::vector<Endpoint> places) {
    const auto found = devices_.find(device);
    if (found != devices_.end()) found->second.places = told_places(places);
}

void Pathfinder::look(const wg::Device& device,
                      const std::function<bool(const PathKey&)>& is_live) {
    const BootTime now = clock_.since_boot();
    for (const wg::Peer& peer : device.peers) {
        const PathKey key{device.name, peer.public_key};
        if (!paths_.knows(key)) continue;
        const bool lives = is_live(key);
        const bool could_not_send = peer.tx_bytes > 0 && !peer.last_handshake;
        seen_[key] = {lives, peer.keepalive_seconds > 0 || could_not_send, peer.rx_bytes,
                      peer.endpoint};
        if (lives) starts_.erase(key);
        paths_.look(key, sighting_of(peer), lives, now);
    }
    serve_soon();
}

void Pathfinder::look(const std::string& device, const std::vector<Sighted>& peers) {
    const BootTime now = clock_.since_boot();
    for (const Sighted& peer : peers) paths_.look({device, peer.key}, peer.seen, peer.is_live, now);
    serve_soon();
}

bool Pathfinder::speaks_checks(const PathKey& key) const { return view(key).speaks_checks; }

reach::Paths::View Pathfinder::view(const PathKey& key) const {
    return paths_.view(key, clock_.since_boot());
}

std::vector<PeerNeed> Pathfinder::needs() const {
    std::vector<PeerNeed> needs;
    for (PathKey& key : paths_.in_need(clock_.since_boot())) {
        const auto seen = view(key);
        needs.push_back({std::move(key), seen.needs_relay, seen.needs_pair});
    }
    return needs;
}

std::vector<Endpoint> Pathfinder::seen_from_outside(const std::string& device) const {
    std::vector<Endpoint> seen;
    for (const Family family : {Family::V4, Family::V6}) {
        const auto result = discovered(device, family);
        // A mapping that is another for each destination is of no use to others.
        if (result && result->mapped && result->varies != reach::Discovery::Varies::Yes)
            seen.push_back(*result->mapped);
    }
    return seen;
}

bool Pathfinder::has_servers(Family family) const {
    const bool has_v4 = underlay_.has_v4 || underlay_.nat64;
    if (family == Family::V4 ? !has_v4 : !underlay_.has_v6) return false;
    return std::any_of(servers_.begin(), servers_.end(),
                       [&](const Endpoint& one) { return one.address.family() == family; });
}

bool Pathfinder::is_asking(const std::string& device) const {
    const auto found = devices_.find(device);
    if (found == devices_.end() || clock_.since_boot() >= found->second.asking_until) return false;
    for (const Family family : {Family::V4, Family::V6})
        if (has_servers(family) && !found->second.discovery(family).result().is_asked) return true;
    return false;
}

void Pathfinder::measure() {
    for (auto& [name, device] : devices_)
        for (const Family family : {Family::V4, Family::V6})
            if (has_servers(family)) device.discovery(family).measure(clock_.since_boot());
    serve_soon();
}

void Pathfinder::probe(const Endpoint& server) {
    for (auto& [name, device] : devices_)
        device.discovery(server.address.family()).probe(server, clock_.since_boot());
    serve_soon();
}

bool Pathfinder::is_measuring() const {
    return std::any_of(devices_.begin(), devices_.end(), [this](const auto& entry) {
        const Device& device = entry.second;
        return (has_servers(Family::V4) && device.v4.is_asking()) ||
               (has_servers(Family::V6) && device.v6.is_asking());
    });
}

std::optional<reach::Discovery::Result> Pathfinder::discovered(const std::string& device,
                                                               Family family) const {
    const auto found = devices_.find(device);
    if (found == devices_.end()) return std::nullopt;
    return found->second.discovery(family).result();
}

std::optional<milliseconds> Pathfinder::round_trip(const Endpoint& server) const {
    std::optional<milliseconds> best;
    for (const auto& [name, device] : devices_) {
        const auto trip = device.discovery(server.address.family()).round_trip(server);
        if (trip && (!best || *trip < *best)) best = trip;
    }
    return best;
}

void Pathfinder::serve_soon() {
    if (std::exchange(is_soon_, true)) return;
    next_ = loop_.after(milliseconds(0), [this] { serve(); });
}

// After each input, and at each deadline.
void Pathfinder::serve() {
    is_soon_ = false;
    const BootTime now = clock_.since_boot();
    if (served_at_ && now - *served_at_ > kSlept)
        for (auto& [name, device] : devices_)
            for (const Family family : {Family::V4, Family::V6})
                device.discovery(family).network_changed(now);
    served_at_ = now;
    send_checks(now);
    observe_if_due(now);
    write(now);
    send_questions(now);
    note_discoveries(now);
    events_.on_step();
    if (is_soon_) return;
    const BootTime at = std::clamp(deadline(now), now + milliseconds(1), now + kLongest);
    next_ = loop_.after(at - now, [this] { serve(); });
}

void Pathfinder::send_checks(BootTime now) {
    std::array<uint8_t, stun::kMostMessage> buffer;
    for (const auto& check : paths_.step(now)) {
        open_.sent(check.probe.token, check.key, now);
        const auto found = devices_.find(check.key.first);
        if (found == devices_.end()) continue;
        Device& device = found->second;
        const reach::CheckKey* key = key_of(device, check.key.second);
        if (!key) continue;
        const reach::CheckRequest request{transactions_.of(check.probe.token),
                                          device.network.key.public_key(), device.places};
        // What does not leave is lost, as on the network.
        if (const auto bytes = reach::write_request(buffer, request, *key))
            (void)sockets_.send(device.network.device,
                                {.to = check.probe.what.to, .payload = *bytes});
    }
}

void Pathfinder::send_questions(BootTime now) {
    std::array<uint8_t, stun::kBindingRequestSize> buffer;
    const bool is_doubtful = doubted_at_ == now;
    for (auto& [name, device] : devices_)
        for (const Family family : {Family::V4, Family::V6}) {
            reach::Discovery& discovery = device.discovery(family);
            discovery.set_needed(paths_.is_awake(), now);
            // A silent path may be one whose NAT has forgotten it.
            if (is_doubtful) discovery.doubt(now);
            for (const auto& question : discovery.step(now))
                (void)sockets_.send(
                    name, {.to = question.server,
                           .payload = stun::binding_request(buffer, question.transaction)});
        }
}

void Pathfinder::note_discoveries(BootTime now) {
    const bool is_doubtful = doubted_at_ && now - *doubted_at_ < kDoubt;
    bool is_forgotten = false;
    for (auto& [name, device] : devices_)
        for (const Family family : {Family::V4, Family::V6}) {
            auto& told = family == Family::V4 ? device.told_v4 : device.told_v6;
            const auto seen = device.discovery(family).result();
            if (seen == told) continue;
            is_changed_ = true;
            is_forgotten = is_forgotten || (is_doubtful && reach::is_forgotten(told, seen));
            told = seen;
        }
    if (is_forgotten) {
        doubted_at_.reset();  // once is enough
        events_.on_forgotten();
    }
    if (std::exchange(is_changed_, false)) events_.on_change();
}

void Pathfinder::observe_if_due(BootTime now) {
    if (paths_.wants_look(now)) doubted_at_ = now;
    const bool is_start = wants_start(now);
    const bool is_wanted = paths_.wants_look(now) || is_start || now >= observe_at_;
    const milliseconds pause = is_start ? kObserveStart : kObservePause;
    if (!is_wanted || now - observed_at_ < pause) return;
    observed_at_ = now;
    observe_at_ = BootTime::max();
    events_.observe();
}

bool Pathfinder::is_first_to_start(const PathKey& key) const {
    const auto device = devices_.find(key.first);
    return device != devices_.end() && device->second.network.key.public_key() < key.second;
}

bool Pathfinder::wants_start(BootTime now) const {
    return std::any_of(starts_.begin(), starts_.end(),
                       [&](const auto& entry) { return entry.second.at <= now; });
}

milliseconds Pathfinder::start_wait(const PathKey& key, BootTime now) const {
    if (!is_first_to_start(key)) return kStartSecond;
    const auto trip = paths_.view(key, now).round_trip;
    return trip ? std::clamp(*trip * 4, kLeastThrough, kStartSecond) : kStartSecond;
}

bool Pathfinder::is_to_start(const PathKey& key, Start& start, uint64_t rx_bytes,
                             BootTime now) const {
    if (now < start.at) return false;
    const bool has_come = rx_bytes > start.rx_bytes && start.waits < kMostWaits;
    start.rx_bytes = rx_bytes;
    if (has_come == start.begun_at.has_value()) {
        // Nothing came, or what came and went no further met ours on its way: each side has then
        // taken the other's handshake for the one that counts, and neither completes.
        start.waits = has_come ? start.waits + 1 : 0;
        if (!has_come) start.pause = std::clamp(start.pause * 2, kStartAgain, kStartPause);
        start.begun_at = now;
        start.at = now + start_wait(key, now);
        start.rx_bytes = 0;
        return true;
    }
    if (has_come) {
        // A handshake of the other side is under way.
        ++start.waits;
        start.at = now + start_wait(key, now);
    } else {
        // Not answered: the kernel repeats it before we do.
        start.at = *std::exchange(start.begun_at, std::nullopt) + start.pause;
    }
    return false;
}

void Pathfinder::write(BootTime now) {
    std::map<PathKey, PathWrite> writes;
    for (const auto& [key, endpoint] : paths_.to_write(now)) writes[key] = {key, endpoint};
    // Only upon a fresh look, lest a session that has just come up is thrown away.
    for (auto start = starts_.begin(); start != starts_.end() && observed_at_ == now;) {
        auto& [key, due] = *start;
        const auto path = paths_.view(key, now).path;
        const auto seen = seen_.find(key);
        if (!path || seen == seen_.end() || !seen->second.wants_session) {
            start = starts_.erase(start);
            continue;
        }
        if (is_to_start(key, due, seen->second.rx_bytes, now)) writes[key] = {key, path->to, true};
        ++start;
    }
    if (writes.empty()) return;
    std::vector<PathWrite> list;
    list.reserve(writes.size());
    for (auto& [key, one] : writes) list.push_back(std::move(one));
    observe_at_ = now + kAfterWrite;
    is_changed_ = true;
    events_.write(list);
}

BootTime Pathfinder::deadline(BootTime now) const {
    BootTime due = paths_.deadline();
    const BootTime observe = paths_.wants_look(now) ? now : observe_at_;
    if (observe != BootTime::max())
        due = std::min(due, std::max(observe, observed_at_ + kObservePause));
    for (const auto& [key, start] : starts_)
        due = std::min(due, std::max(start.at, observed_at_ + kObserveStart));
    for (const auto& [name, device] : devices_)
        due = std::min({due, device.v4.deadline(), device.v6.deadline()});
    return due;
}

const reach::CheckKey* Pathfinder::key_of(Device& device, const wg::PublicKey& peer) {
    const auto known = device.keys.find(peer);
    if (known != device.keys.end()) return &known->second;
    const auto what = reconcile::is_xfrm_device(device.network.device)
                          ? reach::CheckedFor::Ipsec
                          : reach::CheckedFor::Wireguard;
    auto key = reach::check_key(device.network.key.private_key(), peer, what);
    return key ? &device.keys.emplace(peer, std::move(*key)).first->second : nullptr;
}

void Pathfinder::came(const std::string& name, const reach::RawUdp::Incoming& datagram) {
    const auto found = devices_.find(name);
    const auto message = stun::Message::parse(datagram.payload);
    if (found == devices_.end() || !message) return;
    Device& device = found->second;
    const bool is_answer = message->message_class() == stun::Class::Success;
    if (message->method() == stun::Method::Bind) {
        if (is_answer || message->message_class() == stun::Class::Error)
            events_.on_bind(name, datagram.from, *message);
    } else if (message->is(stun::Class::Request, stun::Method::Binding)) {
        answer(device, datagram, *message);
    } else if (is_answer && message->method() == stun::Method::Binding &&
               message->unknown().empty()) {
        took_answer(device, datagram.from, *message);
    }
}

void Pathfinder::answer(Device& device, const reach::RawUdp::Incoming& datagram,
                        const stun::Message& asked) {
    const BootTime now = clock_.since_boot();
    const auto sender = reach::sender_of(asked);
    if (!sender) return;
    const PathKey key{device.network.device, *sender};
    if (!paths_.knows(key) || !proofs_.take(now)) return;
    const reach::CheckKey* proof = key_of(device, *sender);
    if (!proof || !asked.is_authentic(proof->bytes()) || !answers_.take(now)) return;
    std::array<uint8_t, stun::kMostMessage> buffer;
    if (const auto bytes = reach::write_answer(buffer, asked, datagram.from, *proof))
        (void)sockets_.send(key.first,
                            {.to = datagram.from, .source = datagram.to, .payload = *bytes});
    const auto places = reach::places_in(datagram.payload);
    if (!places.empty()) paths_.told(key, places, now);
    paths_.asked(key, datagram.from, now);
    serve_soon();
}

// Of a peer where it is proved; else that of a STUN server, whose proof is the transaction.
void Pathfinder::took_answer(Device& device, const Endpoint& from, const stun::Message& answer) {
    const BootTime now = clock_.since_boot();
    if (!answer.has_integrity()) {
        if (answer.mapped() && device.discovery(from.address.family())
                                   .answered(answer.transaction(), from, *answer.mapped(), now))
            serve_soon();
        return;
    }
    const auto token = transactions_.token_of(answer.transaction());
    const PathKey* open = token ? open_.find(*token) : nullptr;
    if (!open || open->first != device.network.device) return;
    const PathKey key = *open;
    const reach::CheckKey* proof = key_of(device, key.second);
    if (!proof || !answer.is_authentic(proof->bytes())) return;
    if (!paths_.answered(key, *token, from, now)) return;
    want_session(key, from, now);
    serve_soon();
}

// Charon begins by itself.
void Pathfinder::want_session(const PathKey& key, const Endpoint& from, BootTime now) {
    if (reconcile::is_xfrm_device(key.first)) return;
    const Seen seen = seen_.contains(key) ? seen_.at(key) : Seen{};
    if (seen.is_live) return;
    // No handshake of the kernel is on its way to where it does not send yet.
    const bool is_elsewhere = seen.endpoint && *seen.endpoint != from;
    const milliseconds wait = !is_first_to_start(key) ? kStartSecond
                              : is_elsewhere          ? milliseconds(0)
                                                      : kStartFirst;
    starts_.try_emplace(key, Start{now + wait, {}, seen.rx_bytes});
}

}  // namespace cvlan::agent
