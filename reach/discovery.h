// SPDX-License-Identifier: Apache-2.0
#pragma once

// How one port of this machine is seen from outside, in one family: STUN servers are asked from
// that very port. Pure: the time and answers go in, questions come out; the socket is RawUdp's.
//
// All servers are asked at first, after a change of the network and now and then, which tells how
// far they are; in between the nearest two are asked every 20 to 30 s, which keeps a NAT's mapping
// and shows a change. Two, because a NAT that gives another mapping to each destination is told by
// their answers. Nothing is sent while nobody needs it.

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "reach/trial.h"
#include "stun/message.h"

namespace cvlan::reach {

class Discovery {
public:
    static constexpr size_t kMostServers = 16;

    using MakeTransaction = std::function<stun::TransactionId()>;
    explicit Discovery(uint32_t seed, MakeTransaction make = stun::random_transaction)
        : jitter_(seed), make_(std::move(make)) {}

    // Of one family. What is known of those that stay is kept.
    void set_servers(std::span<const Endpoint> servers, BootTime now);
    // Whether somebody needs to know. At first it is asked once in any case.
    void set_needed(bool is_needed, BootTime now);
    // Some path has gone silent: a NAT may have forgotten what it mapped. The nearest are asked
    // now, but not more than every few seconds.
    void doubt(BootTime now);
    // What was known is of another network.
    void network_changed(BootTime now);
    // All servers are asked now, for somebody who waits for it; what is known stays until then.
    void measure(BootTime now);
    // Whether one is back that was lost: it is asked once, unless it is being asked. Who does not
    // answer within a second is lost.
    void probe(const Endpoint& server, BootTime now);
    bool is_asking() const;  // some question is open, but for probes

    struct Question {
        Endpoint server;
        stun::TransactionId transaction{};
    };
    std::vector<Question> step(BootTime now);
    BootTime deadline() const;

    // An answer without proof but its transaction. False: not to a question of ours.
    bool answered(const stun::TransactionId& transaction, const Endpoint& from,
                  const Endpoint& mapped, BootTime now);

    enum class Varies { Unknown, No, Yes };
    struct Result {
        std::optional<Endpoint> mapped{};  // by the nearest server; none: no server answers
        Varies varies = Varies::Unknown;   // by destination
        bool is_asked = false;             // a round is over: what is not known is not there
        std::optional<Endpoint> by{};      // that server
        bool operator==(const Result&) const = default;
    };
    Result result() const;
    // Nothing while it does not answer.
    std::optional<std::chrono::milliseconds> round_trip(const Endpoint& server) const;

private:
    struct Server {
        Endpoint at{};
        std::optional<stun::TransactionId> open{};
        BootTime sent_at{};
        int tries = 0;  // of the question that is open
        BootTime next = BootTime::max();
        std::optional<Endpoint> mapped{};
        std::optional<BootTime> answered_at{};
        std::optional<std::chrono::milliseconds> round_trip{};
        bool is_lost = false;
        bool is_probed = false;  // the question that is open is a probe
    };
    void ask(Server& server, BootTime at);
    void ask_all(BootTime now);
    void refresh(BootTime now);
    void settle();
    std::vector<const Server*> nearest() const;

    Jitter jitter_;
    MakeTransaction make_;
    std::vector<Server> servers_;
    bool is_needed_ = false;
    bool is_asked_ = false;  // a round is over
    Varies varies_ = Varies::Unknown;
    BootTime refresh_at_ = BootTime::max();
    std::optional<BootTime> all_at_;
    std::optional<BootTime> refreshed_at_;
};

// The NAT gave up the mapping of before. Where it maps by destination that says nothing, and where
// that is not known, the mappings of two servers may differ.
bool is_forgotten(const Discovery::Result& before, const Discovery::Result& now);

}  // namespace cvlan::reach
