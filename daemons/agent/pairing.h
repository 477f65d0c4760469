// SPDX-License-Identifier: Apache-2.0
#pragma once

// One peer's UDP relaying as this node sees it (relay/README.md): from the relay's OFFER on, bind
// requests leave from the WireGuard port until READY names the endpoint, and then once a minute.
// Pure.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "relay/frame.h"
#include "stun/message.h"

namespace cvlan::agent {

class Pairing {
public:
    // Every second at first; less often where it takes long, as where UDP is blocked or the peer
    // does not ask.
    static constexpr std::chrono::milliseconds kSoon{1'000};
    static constexpr int kSoonTimes = 10;
    static constexpr std::chrono::milliseconds kLater{10'000};
    static constexpr int kTimes = 16;
    static constexpr std::chrono::milliseconds kKeep{60'000};

    void offered(const relay::Offer& offer, BootTime now);
    void ready(const Endpoint& at, BootTime now);
    // The relay forwards no more.
    void ended();
    // Other addresses than before: what the relay knows of us may be wrong.
    void network_changed(BootTime now);

    struct Bind {
        Endpoint to;
        Bytes datagram;
    };
    // The bind requests that are due.
    std::vector<Bind> step(BootTime now);
    BootTime deadline() const;
    // An answer with the integrity of the offer, to the last request. False: another's. A nonce in
    // it makes the next request due.
    bool answered(const Endpoint& from, const stun::Message& message, BootTime now);

    // Where packets to the peer may be sent.
    const std::optional<Endpoint>& place() const { return place_; }
    bool is_offered() const { return offer_.has_value(); }

private:
    struct Kept {
        relay::BindId id{};
        relay::BindSecret secret{};
    };
    struct Way {
        Endpoint to;
        stun::TransactionId transaction{};
        std::string nonce{};
        int sent = 0;  // without an answer
        BootTime due{0};
        std::optional<BootTime> repeated_at{};  // for a nonce: once a second at most
    };

    std::optional<Kept> offer_;
    std::vector<Way> ways_;  // one a family
    std::optional<Endpoint> place_;
};

}  // namespace cvlan::agent
