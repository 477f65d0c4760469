// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node's session with one relay (README.md): connects, directly or through an HTTP proxy, shows
// its grants, sends and takes packets, asks for pairs, and after a failure comes back by itself,
// later each time. Loop thread only.
//
// What was asked for holds over reconnections: grants and pairs are told to each new session. A
// pair that the relay has ended (on_unpaired) is asked for no more. Packets are UDP's: there is no
// queue for a session that is not up, and of what waits for a slow network the oldest is dropped.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/secret.h"
#include "http/tls.h"
#include "relay/frame.h"

namespace cvlan::relay {

// How HTTP is left. Auto takes the plain upgrade, and WebSocket in turn after an answer that was no
// 101: something between us looks into TLS.
enum class Via : uint8_t { Auto, Upgrade, WebSocket };

struct HttpProxy {
    std::string host{};  // a name or an address
    uint16_t port = 3128;
    SecretText authorization{};  // of Proxy-Authorization, "Basic …"; empty: none
    HttpProxy clone() const { return {host, port, authorization.clone()}; }
};

struct ClientOptions {
    std::vector<Endpoint> endpoints{};  // of the relay's TLS, tried in turn
    std::string server_name{};          // "<node id>.<tenant id>.<trust domain>"
    std::shared_ptr<const http::ClientTls> tls{};
    std::optional<HttpProxy> proxy{};
    Via via = Via::Auto;
    uint32_t fwmark = 0;  // as http::ClientOptions::fwmark
    uint32_t seed = 1;    // of the back-off's jitter: of the node, so that nodes differ
    std::chrono::milliseconds connect_timeout{10'000};  // proxy, TCP, TLS and the answer together
    // Who sends packets and hears nothing for so long asks, and waits so long for an answer; longer
    // where one took long before.
    std::chrono::milliseconds quiet{1'000};
};

// Each is called from the loop, never from within a call of the Client, but for destroying it may
// call anything of it. All may be empty.
struct ClientEvents {
    // The session is up: the relay's STUN endpoints, for path checks and the port of pairs.
    std::function<void(const Hello& hello)> on_up{};
    // It is down, or did not come up. The next attempt is on its way.
    std::function<void(const cvlan::Error& why)> on_down{};
    // It is up, but what is sent is not answered: the relay is gone or stuck, and no one has told
    // us. Some other is to carry, until on_heard or on_down.
    std::function<void()> on_silent{};
    std::function<void()> on_heard{};
    std::function<void(const Key& own)> on_granted{};
    // The relay's words: about a grant, a limit, a pair. Its text is printable.
    std::function<void(Fault code, const std::string& text)> on_refused{};
    // `payload` is valid during the call.
    std::function<void(const Key& source, ByteView payload)> on_packet{};
    std::function<void(const Key& peer, Gone reason)> on_peer_gone{};
    std::function<void(const Offer& offer)> on_offer{};
    std::function<void(const Ready& ready)> on_ready{};
    std::function<void(const Unpair& unpair)> on_unpaired{};
};

struct ClientStats {
    uint64_t packets_sent = 0;
    uint64_t packets_received = 0;
    uint64_t packets_dropped = 0;  // no session, or too much was waiting
    uint64_t connections = 0;      // that came up
};

class Client {
public:
    static Result<std::unique_ptr<Client>> open(EventLoop& loop, ClientOptions options,
                                                ClientEvents events);
    // Ends the session; no event comes any more. Not from within an event.
    ~Client();

    // JSON of SignedBytes, one a membership, as POST /api/v1/node/relay-grants gives them. Replaces
    // those of before; on a session that is up they are sent at once.
    void set_grants(std::vector<std::string> grants);
    // A new certificate, other addresses (one at least): from the next connection on.
    void set_tls(std::shared_ptr<const http::ClientTls> tls);
    void set_endpoints(std::vector<Endpoint> endpoints);

    // False: dropped. Packets of one turn of the loop leave together.
    bool send(const Key& destination, ByteView payload);

    // Asks for UDP relaying until unpair() or on_unpaired(), in this session and those that follow.
    void pair(const PairOf& pair);
    void unpair(const PairOf& pair);

    bool is_up() const;
    // Of the last answer to a PING; none yet, or none in this session.
    std::optional<std::chrono::microseconds> round_trip() const;
    // Connects now where it is waiting to. A session that is up is asked for a sign of life, and
    // given up after a second without one.
    void network_changed();
    // Where it waits for its next attempt, or one is under way and fails, no longer than this.
    void hurry(std::chrono::milliseconds within);
    void measure();  // round_trip() anew; a session that does not answer in time lives on
    ClientStats stats() const;

    struct State;
    explicit Client(std::unique_ptr<State> state);

private:
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::relay
