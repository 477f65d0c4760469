// SPDX-License-Identifier: Apache-2.0
#include "relay/client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/upgrade.h"
#include "relay/channel.h"
#include "relay/welcome.h"

namespace cvlan::relay {

using namespace std::chrono_literals;

namespace {

constexpr auto kKeepalive = 25s;
constexpr auto kSignOfLife = 1s;  // after network_changed()
constexpr std::chrono::milliseconds kMostDoubt = 4s;
constexpr auto kHelloWithin = 10s;  // after the 101
constexpr auto kProven = 60s;       // a session that lasted so long was a good one
constexpr size_t kQueue = size_t{128} * 1024;
constexpr size_t kBlocks = 64;  // of which kQueue fills a part, even with frames that fit badly

BootTime now() { return SystemClock().since_boot(); }

bool is_same_pair(const PairOf& a, const PairOf& b) { return a.own == b.own && a.peer == b.peer; }

}  // namespace

struct Client::State {
    // A session's frames.
    class Link final : public Channel {
    public:
        Link(State& owner, Framing framing, http::Upgraded upgraded)
            : Channel(owner.loop, owner.shared, framing, std::move(upgraded)), owner_(owner) {}

    private:
        // Not where it was given up already, and only waits to be destroyed.
        bool is_current() const { return owner_.link.get() == this; }
        void on_turn() override {
            if (is_current()) owner_.heard();
        }
        bool on_frame(const Frame& frame) override {
            return is_current() && owner_.took(frame) && is_current();
        }
        void on_over(const char* why) override {
            if (is_current()) owner_.lost({Code::Unavailable, why});
        }
        State& owner_;
    };

    State(EventLoop& on, ClientOptions what, ClientEvents then);
    ~State() { event_del(&turn); }

    void connect_after(std::chrono::milliseconds pause);
    void connect();
    http::UpgradeTarget target();
    void connected(Result<std::pair<http::Upgraded, http::Response>> result);
    Result<void> check(const http::Response& head) const;
    void lost(cvlan::Error why);
    void heard();
    bool took(const Frame& frame);
    bool took_hello(ByteView body);
    bool took_control(const Frame& frame);
    bool took_pong(ByteView body);
    void show_grants();
    void ask_for(const PairOf& pair);
    void keep_alive();
    void ask_if_quiet();
    void wait_for_sign(std::chrono::milliseconds most);
    void send_ping();
    void mark_due();
    void end_turn();

    EventLoop& loop;
    ClientOptions options;
    ClientEvents events;
    Shared shared{{}, BlockPool(kBlocks), kQueue};
    std::unique_ptr<http::UpgradeAttempt> attempt;
    std::unique_ptr<Link> link;
    std::unique_ptr<Link> ended;  // its callback may still be running
    Timer burial;
    std::string websocket_key;  // of the attempt; empty: a plain upgrade
    bool uses_websocket = false;
    size_t at = 0;  // of the endpoints, or a turn further
    Backoff backoff;
    Timer next;                                      // attempt, or keepalive
    BootTime next_at{0};                             // of the attempt
    std::optional<std::chrono::milliseconds> hurry;  // the next pause, at most
    Timer last_sign;                                 // of life that is waited for
    Timer doubt;  // so soon after a ping that nothing else is lost yet
    BootTime heard_at{0};
    bool is_silent = false;
    bool has_sent = false;  // packets, in this turn
    event turn{};
    bool is_due = false;
    bool is_up = false;
    BootTime up_since{0};
    uint64_t ping = 0;  // the bytes of the last one
    std::chrono::steady_clock::time_point ping_time{};
    std::optional<std::chrono::microseconds> round_trip;
    std::vector<std::string> grants;
    std::vector<PairOf> pairs;
    ClientStats stats;
};

Client::State::State(EventLoop& on, ClientOptions what, ClientEvents then)
    : loop(on),
      options(std::move(what)),
      events(std::move(then)),
      uses_websocket(options.via == Via::WebSocket),
      backoff(options.seed) {
    event_assign(
        &turn, loop.base(), -1, 0,
        [](evutil_socket_t, short, void* self) { static_cast<State*>(self)->end_turn(); }, this);
    next = loop.after(0ms, [this] { connect(); });
}

// The endpoints' turn. Those of one port are tried together, as RFC 8305 has it, but by a proxy.
http::UpgradeTarget Client::State::target() {
    const Endpoint& first = options.endpoints[at % options.endpoints.size()];
    http::UpgradeTarget made{.server_name = options.server_name};
    made.addresses.push_back(first.address);
    for (const Endpoint& other : options.endpoints)
        if (other.port == first.port && other.address != first.address)
            made.addresses.push_back(other.address);
    made.port = first.port;
    made.tls = options.tls;
    if (const auto& proxy = options.proxy)
        made.proxy = http::ProxyTarget{proxy->host, proxy->port, proxy->authorization.clone()};
    made.fwmark = options.fwmark;
    made.path = kPath;
    made.timeout = options.connect_timeout;
    websocket_key = uses_websocket ? base64(random_bytes(16)) : "";
    if (!uses_websocket) {
        made.headers = {{"Upgrade", kProtocol}};
        return made;
    }
    made.headers = {{"Upgrade", "websocket"},
                    {"Sec-WebSocket-Version", "13"},
                    {"Sec-WebSocket-Key", websocket_key},
                    {"Sec-WebSocket-Protocol", std::string(kSubprotocol)}};
    return made;
}

void Client::State::connect_after(std::chrono::milliseconds pause) {
    hurry.reset();
    next_at = now() + pause;
    next = loop.after(pause, [this] { connect(); });
}

void Client::State::connect() {
    attempt = std::make_unique<http::UpgradeAttempt>(
        loop, target(), [this](auto result) { connected(std::move(result)); });
}

// RFC 6455 section 4.1: something that repeats a 101 is no relay.
Result<void> Client::State::check(const http::Response& head) const {
    const auto has = [&](const char* name, std::string_view value) {
        const std::string* found = head.header(name);
        return found && std::string_view(*found) == value;
    };
    const bool is_good = websocket_key.empty()
                             ? has("Upgrade", kProtocol)
                             : has("Sec-WebSocket-Accept", websocket_accept(websocket_key)) &&
                                   has("Sec-WebSocket-Protocol", kSubprotocol);
    if (!is_good) return fail(Code::Malformed, "{}: not a relay's answer", options.server_name);
    return {};
}

void Client::State::connected(Result<std::pair<http::Upgraded, http::Response>> result) {
    if (!result) {
        if (options.via == Via::Auto && result.error().reason == http::kNotUpgraded)
            uses_websocket = !uses_websocket;
        return lost(result.error());
    }
    if (auto good = check(result->second); !good) return lost(good.error());
    const auto framing =
        websocket_key.empty() ? Channel::Framing::Plain : Channel::Framing::WebSocketClient;
    link = std::make_unique<Link>(*this, framing, std::move(result->first));
    last_sign = loop.after(kHelloWithin, [this] {
        lost({Code::Unavailable, fmt::format("{}: no HELLO", options.server_name)});
    });
}

void Client::State::lost(cvlan::Error why) {
    // It may be what calls us: it goes when the loop is back.
    if (link) {
        stats.packets_dropped += link->dropped();
        ended = std::move(link);
        burial = loop.after(0ms, [this] { ended.reset(); });
    }
    if (is_up && now() - up_since > kProven) backoff.reset();
    is_up = is_due = is_silent = false;
    round_trip.reset();
    last_sign.cancel();
    doubt.cancel();
    ++at;
    connect_after(std::min(backoff.next(), hurry.value_or(std::chrono::milliseconds::max())));
    log::debug("relay.client_down", {{"relay", options.server_name}, {"error", why.message}});
    if (events.on_down) events.on_down(why);
}

void Client::State::heard() {
    if (!is_up) return;
    heard_at = now();
    last_sign.cancel();
    doubt.cancel();
    if (std::exchange(is_silent, false) && events.on_heard) events.on_heard();
}

// Peers answer what they get, so a relay of which nothing comes while something is sent is doubtful
// (F78). TCP would take a quarter of an hour to tell, and nothing where the machine is only stuck.
void Client::State::ask_if_quiet() {
    const bool is_quiet = now() - heard_at >= options.quiet;
    if (!is_quiet || is_silent || doubt.pending()) return;
    send_ping();
    const auto usual = std::chrono::ceil<std::chrono::milliseconds>(round_trip.value_or(0us));
    const auto most = std::max(options.quiet, std::min(usual * 4, kMostDoubt));
    doubt = loop.after(most, [this] {
        is_silent = true;
        if (!last_sign.pending()) wait_for_sign(kKeepalive / 2);
        if (events.on_silent) events.on_silent();
    });
}

void Client::State::wait_for_sign(std::chrono::milliseconds most) {
    last_sign = loop.after(most, [this] {
        lost({Code::Unavailable, fmt::format("{}: silent", options.server_name)});
    });
}

bool Client::State::took(const Frame& frame) {
    if (frame.type == FrameType::Recv) {
        const auto packet = parse_packet(frame.body);
        if (!packet) return false;
        std::array<uint8_t, wg::kKeySize> bytes;
        std::memcpy(bytes.data(), packet->key.data(), bytes.size());
        ++stats.packets_received;
        if (events.on_packet) events.on_packet(Key(bytes), packet->payload);
        return true;
    }
    return took_control(frame);
}

namespace {

// Hands on what a frame says; false: it could not be read.
template <class Event, class Value>
bool tell(const Event& event, const Result<Value>& value) {
    if (value && event) event(*value);
    return value.has_value();
}

}  // namespace

bool Client::State::took_control(const Frame& frame) {
    switch (frame.type) {
        case FrameType::Hello:
            return took_hello(frame.body);
        case FrameType::Granted:
            return tell(events.on_granted, parse_key(frame.body));
        case FrameType::Pong:
            return took_pong(frame.body);
        case FrameType::Ping: {
            const auto asked = parse_ping(frame.body);
            if (!asked) return false;
            put_ping(link->control(), FrameType::Pong, *asked);
            mark_due();
            return true;
        }
        case FrameType::PeerGone: {
            const auto gone = parse_peer_gone(frame.body);
            if (gone && events.on_peer_gone) events.on_peer_gone(gone->peer, gone->reason);
            return gone.has_value();
        }
        case FrameType::Offer:
            return tell(events.on_offer, parse_offer(frame.body));
        case FrameType::Ready:
            return tell(events.on_ready, parse_ready(frame.body));
        case FrameType::Unpair: {
            const auto unpair = parse_unpair(frame.body);
            if (unpair)
                std::erase_if(pairs,
                              [&](const PairOf& one) { return is_same_pair(one, unpair->pair); });
            return tell(events.on_unpaired, unpair);
        }
        case FrameType::Error: {
            const auto refusal = parse_refusal(frame.body);
            if (refusal && events.on_refused)
                events.on_refused(refusal->code, printable(refusal->text));
            return refusal.has_value();
        }
        default:
            return true;
    }
}

bool Client::State::took_hello(ByteView body) {
    const auto hello = parse_hello(body);
    if (!hello || is_up) return hello.has_value();
    is_up = true;
    up_since = heard_at = now();
    ++stats.connections;
    last_sign.cancel();
    show_grants();
    for (const PairOf& pair : pairs) ask_for(pair);
    send_ping();
    next = loop.every(kKeepalive, [this] { keep_alive(); });
    if (events.on_up) events.on_up(*hello);
    return true;
}

bool Client::State::took_pong(ByteView body) {
    const auto pong = parse_ping(body);
    if (!pong) return false;
    uint64_t number = 0;
    std::memcpy(&number, pong->data(), sizeof number);
    if (number != ping || ping == 0) return true;
    ping = 0;
    round_trip = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - ping_time);
    return true;
}

void Client::State::show_grants() {
    for (const std::string& grant : grants) put_grant(link->control(), grant);
    mark_due();
}

void Client::State::ask_for(const PairOf& pair) {
    put_pair(link->control(), pair);
    mark_due();
}

// An answer to the last one has come since then, or anything else: else nobody is there any more.
void Client::State::keep_alive() {
    if (last_sign.pending()) return;
    send_ping();
    wait_for_sign(kKeepalive / 2);
}

void Client::State::send_ping() {
    const Bytes random = random_bytes(sizeof ping);
    std::memcpy(&ping, random.data(), sizeof ping);
    ping_time = std::chrono::steady_clock::now();
    put_ping(link->control(), FrameType::Ping, std::span<const uint8_t, 8>(random.data(), 8));
    mark_due();
}

void Client::State::mark_due() {
    if (std::exchange(is_due, true)) return;
    event_active(&turn, EV_TIMEOUT, 0);
}

void Client::State::end_turn() {
    is_due = false;
    if (std::exchange(has_sent, false) && is_up) ask_if_quiet();
    if (link && !link->flush()) lost({Code::Unavailable, "the connection is broken"});
}

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::open(EventLoop& loop, ClientOptions options,
                                             ClientEvents events) {
    if (options.endpoints.empty()) return fail(Code::Invalid, "a relay without an endpoint");
    if (!options.tls || options.server_name.empty())
        return fail(Code::Invalid, "a relay without a name, or no certificate for it");
    return std::make_unique<Client>(
        std::make_unique<State>(loop, std::move(options), std::move(events)));
}

void Client::set_grants(std::vector<std::string> grants) {
    state_->grants = std::move(grants);
    if (state_->is_up) state_->show_grants();
}

void Client::set_tls(std::shared_ptr<const http::ClientTls> tls) {
    state_->options.tls = std::move(tls);
}

void Client::set_endpoints(std::vector<Endpoint> endpoints) {
    state_->options.endpoints = std::move(endpoints);
}

bool Client::send(const Key& destination, ByteView payload) {
    State& state = *state_;
    const bool fits = payload.size() <= kMostPacket;
    if (!fits || !state.is_up || !state.link->add_packet(FrameType::Send, destination, payload)) {
        ++state.stats.packets_dropped;
        return false;
    }
    ++state.stats.packets_sent;
    state.has_sent = true;
    state.mark_due();
    return true;
}

void Client::pair(const PairOf& pair) {
    auto& pairs = state_->pairs;
    const bool is_known = std::any_of(pairs.begin(), pairs.end(),
                                      [&](const PairOf& one) { return is_same_pair(one, pair); });
    if (!is_known) pairs.push_back(pair);
    if (state_->is_up) state_->ask_for(pair);
}

void Client::unpair(const PairOf& pair) {
    std::erase_if(state_->pairs, [&](const PairOf& one) { return is_same_pair(one, pair); });
    if (!state_->is_up) return;
    put_unpair(state_->link->control(), {pair, Unpaired::Asked});
    state_->mark_due();
}

bool Client::is_up() const { return state_->is_up; }

std::optional<std::chrono::microseconds> Client::round_trip() const { return state_->round_trip; }

void Client::network_changed() {
    State& state = *state_;
    if (state.is_up) {
        state.send_ping();
        state.wait_for_sign(kSignOfLife);
        return;
    }
    // Also where an attempt is under way: it goes by a network that is no more.
    if (!state.link) state.next = state.loop.after(0ms, [inner = &state] { inner->connect(); });
}

void Client::hurry(std::chrono::milliseconds within) {
    State& state = *state_;
    if (state.is_up || state.link) return;
    if (!state.next.pending())
        state.hurry = within;
    else if (now() + within < state.next_at)
        state.connect_after(within);
}

void Client::measure() {
    if (state_->is_up) state_->send_ping();
}

ClientStats Client::stats() const {
    ClientStats stats = state_->stats;
    if (state_->link) stats.packets_dropped += state_->link->dropped();
    return stats;
}

}  // namespace cvlan::relay
