// SPDX-License-Identifier: Apache-2.0
#pragma once

// Two nodes and what lies between them, in memory and in virtual time: NATs, losses, a relay. Each
// has a kernel of one peer that sends to the endpoint it has and roams, and a Paths that is served
// as the agent serves it.

#include <map>
#include <queue>
#include <random>

#include "reach/paths.h"

namespace cvlan::reach::testing {

using std::chrono::milliseconds;

// Cone: endpoint-independent mapping and filtering; Restricted: filters by address and port.
enum class Nat { None, Cone, Restricted, Symmetric };

inline Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

struct Link {
    milliseconds latency{20};
    double loss = 0;
    bool is_cut = false;
};

class World {
public:
    struct Setup {
        Nat nat[2] = {Nat::None, Nat::None};
        bool same_lan = false;
        bool has_v6 = false;
        Link v4{}, v6{}, lan{milliseconds(1)}, udp_relay{milliseconds(30)}, tls{milliseconds(40)};
        bool has_relay = true;
        bool tls_carries = true;
        bool speaks[2] = {true, true};  // false: an older agent, which knows of no checks
        milliseconds told_late{0};      // how much later the second hears of the first
    };

    explicit World(const Setup& setup, uint32_t seed = 1)
        : setup_(setup), random_(seed), nodes_{Node(seed + 1), Node(seed + 2)} {
        for (int i : {0, 1}) {
            nodes_[i].base_port = static_cast<uint16_t>(40'000 + i * 1000);
            Underlay here;
            here.has_v6 = setup.has_v6;
            here.own = {address(i)};
            if (setup.same_lan) here.subnets = {*Prefix::parse("10.0.0.0/24")};
            nodes_[i].underlay = here;
        }
        at(milliseconds(0), [this] { begin(0); });
        at(setup.told_late, [this] { begin(1); });
    }

    BootTime now() const { return now_; }
    Setup& setup() { return setup_; }

    // Lets time pass; what was due in it has happened.
    void run(milliseconds span) {
        const BootTime end = now_ + span;
        while (!events_.empty() && events_.top().when <= end) {
            const Event next = std::move(const_cast<Event&>(events_.top()));
            events_.pop();
            now_ = std::max(now_, next.when);
            next.run();
        }
        now_ = end;
    }
    bool run_until(milliseconds most, const std::function<bool()>& claim) {
        for (const BootTime end = now_ + most; now_ < end; run(milliseconds(10)))
            if (claim()) return true;
        return claim();
    }

    Paths& paths(int i) { return nodes_[i].paths; }
    std::optional<Way> way(int i) {
        const auto view = nodes_[i].paths.view(kKey, now_);
        return view.path ? std::optional(view.path->way) : std::nullopt;
    }
    std::optional<Endpoint> kernel(int i) const { return nodes_[i].endpoint; }
    uint64_t received(int i) const { return nodes_[i].rx; }
    int checks_sent(int i) const { return nodes_[i].checks; }
    int writes(int i) const { return nodes_[i].writes; }
    void talk(bool does) { does_talk_ = does; }

    // The NAT of `i` forgets, and gives other ports from now on.
    void rebind(int i) {
        nodes_[i].base_port = static_cast<uint16_t>(nodes_[i].base_port + 200);
        nodes_[i].mapped.clear();
        nodes_[i].sent_to.clear();
        ++nodes_[i].generation;
    }
    // What the controller tells the other of `i`, as it is now.
    void tell_of(int i) {
        nodes_[1 - i].paths.set_peer(kKey, candidates_of(i), now_);
        serve(1 - i);
    }
    // `i` is in another network from now on.
    void move(int i) {
        rebind(i);
        nodes_[i].underlay.own = {*Address::parse("10.77.0.9")};
        nodes_[i].underlay.subnets.clear();
        nodes_[i].paths.set_underlay(nodes_[i].underlay, now_);
        serve(i);
    }
    void cut_direct(bool is_cut) {
        setup_.v4.is_cut = setup_.v6.is_cut = setup_.lan.is_cut = is_cut;
    }
    // No relay carries anything any more, and the agents know.
    void lose_relays() {
        setup_.has_relay = false;
        setup_.udp_relay.is_cut = setup_.tls.is_cut = true;
        for (int i : {0, 1}) {
            nodes_[i].paths.set_relayed(kKey, {}, now_);
            serve(i);
        }
    }
    Paths::View view(int i) const { return nodes_[i].paths.view(kKey, now_); }
    // The agent of `i` begins anew; its kernel has stayed as it was.
    void restart(int i) {
        Node& node = nodes_[i];
        node.paths = Paths(7);
        node.pair_at.reset();
        node.has_pair = false;
        node.paths.set_underlay(node.underlay, now_);
        node.paths.set_peer(kKey, candidates_of(1 - i), now_);
        if (setup_.has_relay) offer_relay(i);
        look(i);
        serve(i);
    }
    // Nothing runs, then all at once.
    void sleep(milliseconds span) {
        now_ += span;
        std::priority_queue<Event> later;
        events_.swap(later);
        for (; !later.empty(); later.pop()) {
            Event moved = later.top();
            moved.when += span;
            events_.push(moved);
        }
    }

    // Theory's answer.
    Way best() const {
        if (setup_.same_lan && !setup_.lan.is_cut) return Way::SameSubnet;
        if (setup_.has_v6 && !setup_.v6.is_cut) return Way::PublicV6;
        const auto hard = [&](int i) { return setup_.nat[i] == Nat::Symmetric; };
        const auto strict = [&](int i) { return setup_.nat[i] >= Nat::Restricted; };
        const bool is_possible = !(hard(0) && strict(1)) && !(hard(1) && strict(0));
        if (is_possible && !setup_.v4.is_cut) return Way::PublicV4;
        return setup_.udp_relay.is_cut ? Way::RelayTls : Way::RelayUdp;
    }

private:
    struct Packet {
        enum class Kind { Request, Answer, Data } kind = Kind::Data;
        uint64_t token = 0;  // of data: its size
    };
    struct Node {
        explicit Node(uint32_t seed) : paths(seed) {}
        Paths paths;
        Underlay underlay;
        std::optional<Endpoint> endpoint;
        uint64_t rx = 0, tx = 0;
        std::optional<BootTime> heard_at;
        BootTime spoke_at{};
        std::optional<BootTime> pair_at;
        bool has_pair = false;
        uint16_t base_port = 40'000;
        std::map<Endpoint, uint16_t> mapped;
        std::map<Endpoint, BootTime> sent_to;
        int generation = 0;
        int checks = 0, writes = 0;
        uint64_t turn = 0;
        bool has_begun = false;
    };
    struct Event {
        BootTime when{};
        uint64_t order = 0;
        std::function<void()> run;
        bool operator<(const Event& other) const {
            return std::tie(other.when, other.order) < std::tie(when, order);
        }
    };
    static constexpr uint16_t kPort = 51820;
    inline static const Paths::Key kKey{"cv-test", wg::PublicKey()};
    inline static const Endpoint kTls = testing::at("127.128.0.1:7777");
    inline static const Endpoint kPair = testing::at("203.0.113.200:49152");

    void at(BootTime when, std::function<void()> run) {
        events_.push({when, ++order_, std::move(run)});
    }
    bool is_lost(const Link& link) {
        return link.is_cut || std::uniform_real_distribution<>(0, 1)(random_) < link.loss;
    }
    static Address public_of(int i) {
        return *Address::parse(i == 0 ? "198.51.100.10" : "203.0.113.10");
    }
    static Address v6_of(int i) {
        return *Address::parse(i == 0 ? "2001:db8::1" : "2001:db8:1::1");
    }
    Address address(int i) const {
        if (setup_.nat[i] == Nat::None && !setup_.same_lan) return public_of(i);
        return Address::parse("10.0.0.0")->plus(setup_.same_lan ? i + 1 : 256 * i + 1);
    }
    std::vector<Endpoint> candidates_of(int i) {
        std::vector<Endpoint> list{{nodes_[i].underlay.own[0], kPort}};
        if (setup_.has_v6) list.push_back({v6_of(i), kPort});
        // The answer of a STUN server; a symmetric NAT's is of no use.
        if (setup_.nat[i] == Nat::Cone || setup_.nat[i] == Nat::Restricted)
            list.push_back({public_of(i), nodes_[i].base_port});
        return list;
    }

    void begin(int i) {
        nodes_[i].has_begun = true;
        nodes_[i].paths.set_underlay(nodes_[i].underlay, now_);
        nodes_[i].paths.set_peer(kKey, candidates_of(1 - i), now_);
        if (setup_.has_relay) offer_relay(i);
        look(i);
        send_data(i);
        serve(i);
    }
    void offer_relay(int i) {
        std::vector<Candidate> relayed{{kTls, Way::RelayTls, setup_.tls_carries}};
        if (nodes_[i].has_pair) relayed.push_back({kPair, Way::RelayUdp});
        nodes_[i].paths.set_relayed(kKey, relayed, now_);
    }
    // As the agent does: after each input, at each deadline.
    void serve(int i) {
        Node& node = nodes_[i];
        for (const auto& check : node.paths.step(now_)) {
            ++node.checks;
            send(i, check.probe.what.to, {Packet::Kind::Request, check.probe.token});
        }
        for (const auto& [key, endpoint] : node.paths.to_write(now_)) {
            at(now_ + milliseconds(2), [this, i, to = endpoint] { nodes_[i].endpoint = to; });
            ++node.writes;
        }
        if (setup_.has_relay) keep_pair(i);
        const BootTime next = std::min(node.paths.deadline(), now_ + milliseconds(4000));
        at(std::max(next, now_ + milliseconds(1)), [this, i, turn = ++node.turn] {
            if (nodes_[i].turn != turn) return;
            if (nodes_[i].paths.wants_look(now_)) look(i);
            serve(i);
        });
    }
    // Both ask: half a second later it stands.
    void keep_pair(int i) {
        const bool needs = nodes_[i].paths.view(kKey, now_).needs_pair;
        if (!needs) nodes_[i].pair_at.reset();
        if (needs && !nodes_[i].pair_at) nodes_[i].pair_at = now_;
        const bool both = nodes_[0].pair_at && nodes_[1].pair_at;
        const bool stands =
            both && now_ - std::max(*nodes_[0].pair_at, *nodes_[1].pair_at) >= milliseconds(300);
        if (stands == nodes_[i].has_pair || (stands && setup_.udp_relay.is_cut)) return;
        nodes_[i].has_pair = stands;
        offer_relay(i);
    }
    void look(int i) {
        Node& node = nodes_[i];
        Sighting seen;
        seen.endpoint = node.endpoint;
        seen.rx_bytes = node.rx;
        seen.tx_bytes = node.tx;
        seen.has_keepalive = true;
        if (node.heard_at) seen.last_handshake = from_unix_ms(1);
        const bool is_live = node.heard_at && now_ - *node.heard_at < kSessionLife;
        node.paths.look(kKey, seen, is_live, now_);
        const int turn = ++looks_[i];
        at(now_ + milliseconds(4000), [this, i, turn] {
            if (looks_[i] != turn) return;
            look(i);
            serve(i);
        });
    }
    void send_data(int i) {
        Node& node = nodes_[i];
        const bool is_keepalive = !does_talk_;
        if (node.endpoint && (!is_keepalive || now_ - node.spoke_at >= milliseconds(25'000))) {
            node.spoke_at = now_;
            node.tx += is_keepalive ? 32 : 128;
            send(i, *node.endpoint, {Packet::Kind::Data, is_keepalive ? 32u : 128u});
        }
        at(now_ + milliseconds(200), [this, i] { send_data(i); });
    }

    void send(int i, const Endpoint& to, const Packet& packet) {
        if (to == kTls) return deliver(1 - i, kTls, packet, setup_.tls);
        if (to == kPair) {
            if (nodes_[0].has_pair && nodes_[1].has_pair)
                deliver(1 - i, kPair, packet, setup_.udp_relay);
            return;
        }
        const int other = 1 - i;
        if (to.address == v6_of(other) && setup_.has_v6)
            return deliver(other, {v6_of(i), kPort}, packet, setup_.v6);
        if (setup_.same_lan && to == Endpoint{nodes_[other].underlay.own[0], kPort})
            return deliver(other, {nodes_[i].underlay.own[0], kPort}, packet, setup_.lan);
        const Endpoint source = through_nat(i, to);
        if (to.address != public_of(other)) return;
        const Link link = setup_.v4;
        if (is_lost(link)) return;
        at(now_ + link.latency, [this, other, source, to, packet] {
            if (passes_nat(other, source, to)) arrive(other, source, packet);
        });
    }
    Endpoint through_nat(int i, const Endpoint& to) {
        Node& node = nodes_[i];
        node.sent_to[to] = now_;
        if (setup_.nat[i] == Nat::None) return {public_of(i), kPort};
        if (setup_.nat[i] != Nat::Symmetric) return {public_of(i), node.base_port};
        const auto next = static_cast<uint16_t>(node.base_port + 1 + node.mapped.size());
        return {public_of(i), node.mapped.emplace(to, next).first->second};
    }
    bool passes_nat(int i, const Endpoint& from, const Endpoint& to) {
        const Node& node = nodes_[i];
        switch (setup_.nat[i]) {
            case Nat::None:
                return to.port == kPort;
            case Nat::Cone:
                return to.port == node.base_port;
            case Nat::Restricted:
                return to.port == node.base_port && node.sent_to.contains(from);
            case Nat::Symmetric:
                const auto mapped = node.mapped.find(from);
                return mapped != node.mapped.end() && mapped->second == to.port;
        }
        return false;
    }
    void deliver(int i, const Endpoint& from, const Packet& packet, const Link& link) {
        if (is_lost(link)) return;
        at(now_ + link.latency, [this, i, from, packet] { arrive(i, from, packet); });
    }
    void arrive(int i, const Endpoint& from, const Packet& packet) {
        Node& node = nodes_[i];
        if (!node.has_begun) return;  // knows of no peer yet
        if (packet.kind == Packet::Kind::Data) {
            node.rx += packet.token;
            node.endpoint = from;
            node.heard_at = now_;
            return;
        }
        if (!setup_.speaks[i]) return;
        if (packet.kind == Packet::Kind::Request) {
            send(i, from, {Packet::Kind::Answer, packet.token});
            node.paths.asked(kKey, from, now_);
        } else {
            node.paths.answered(kKey, packet.token, from, now_);
        }
        serve(i);
    }

    Setup setup_;
    std::mt19937 random_;
    Node nodes_[2];
    int looks_[2] = {0, 0};
    std::priority_queue<Event> events_;
    uint64_t order_ = 0;
    BootTime now_{100'000};
    bool does_talk_ = true;
};

}  // namespace cvlan::reach::testing
