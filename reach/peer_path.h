// SPDX-License-Identifier: Apache-2.0
#pragma once

// The search for the best path to one peer, and the watch over the one that is in use. Pure: what
// came and the time go in; checks to send and the endpoint for the kernel come out. Paths has one
// for each peer that is searched for or talks; what is quiet has none.
//
// The kernel's endpoint is the path. It is moved to a candidate only after that has answered a
// check, so a path is never given up for one that does not work (make before break). An authentic
// packet moves it too (WireGuard roams): that is taken as it is where it is no worse than what we
// chose, and put back, not too often, where it is.

#include <optional>
#include <vector>

#include "reach/trial.h"

namespace cvlan::reach {

// What the kernel said of the peer, compared with the last time.
struct Look {
    std::optional<Candidate> kernel;  // the endpoint it has
    bool has_heard = false;           // authentic packets came since
    bool has_traffic = false;         // more than keepalives and handshakes, in either direction
    bool is_live = false;             // a session of WireGuard stands
};

struct Probe {
    uint64_t token = 0;
    Candidate what;
};

class PeerPath {
public:
    // As often as this is checked what is in use, while there is traffic; and while there was some.
    static constexpr std::chrono::milliseconds kBeat{1'000};
    static constexpr std::chrono::milliseconds kSlowBeat{10'000};
    static constexpr std::chrono::milliseconds kBusy{10'000};
    static constexpr std::chrono::milliseconds kIdle{180'000};
    static constexpr size_t kMostTrials = 28;
    static constexpr size_t kMostLearnt = 4;  // places that checks came from and nobody told

    // `has_answered`: the other side is known to speak our checks.
    explicit PeerPath(bool has_answered) : has_answered_(has_answered) {}

    // All candidates there are now; those that stay keep what is known of them.
    void offer(const std::vector<Candidate>& candidates, BootTime now);
    void look(const Look& seen, BootTime now);
    // Tries all candidates. `is_afresh`: what is in use is no longer known to work, as after a
    // change of the network.
    void search(BootTime now, bool is_afresh);
    // An authentic check came from there.
    void asked_from(const Candidate& source, BootTime now);
    bool answered(uint64_t token, const Endpoint& from, BootTime now);

    // The checks that are due, at most `most`; tokens are counted on from `token`. Decides.
    std::vector<Probe> step(BootTime now, size_t most, uint64_t& token, Jitter& jitter);
    BootTime due() const;
    // Not longer than one beat of so many busy peers: Paths spreads them.
    void set_beat(std::chrono::milliseconds beat) { beat_ = beat; }

    // The endpoint the kernel should have and has not; nothing to leave it alone.
    std::optional<Endpoint> to_write(BootTime now);
    // What is in use, as far as it is known to work.
    const Candidate* path() const;
    std::optional<std::chrono::milliseconds> round_trip() const;
    bool has_answered() const { return has_answered_; }
    // A relay should be ready to carry for this peer: by TLS at once, by UDP where no direct path
    // is found in half a second.
    bool needs_relay(BootTime now) const;
    bool needs_pair(BootTime now) const;
    // The kernel should be looked at, to tell a silent path from a lossy one.
    bool wants_look(BootTime now) const;
    bool is_busy(BootTime now) const { return traffic_at_ && now - *traffic_at_ < kBusy; }
    // Nothing to try and nothing to watch.
    bool is_done(BootTime now) const;

private:
    Trial* trial_of(const Endpoint& to);
    const Trial* trial_of(const Endpoint& to) const;
    Trial& use(const Candidate& what);
    Trial* in_use() { return current_ ? trial_of(*current_) : nullptr; }
    const Trial* in_use() const { return current_ ? trial_of(*current_) : nullptr; }
    void drop_others(const std::vector<Candidate>& candidates);
    void doubt(BootTime now);
    bool is_settling(BootTime now) const;
    bool is_silent(BootTime now) const;
    Trial* best_since(BootTime since, const Trial* but);
    void decide(BootTime now, Jitter& jitter);
    void decide_upgrade(BootTime now);
    void move_to(const Trial& trial, BootTime now);
    void watch(BootTime now, Jitter& jitter);
    void watch_silence(Trial& trial, BootTime now);
    void try_better(const Trial& trial, BootTime now, Jitter& jitter);
    void roamed(const Candidate& kernel, BootTime now);

    std::vector<Trial> trials_;
    std::vector<Endpoint> learnt_;
    std::optional<Endpoint> current_;  // what is in use, in the kernel or about to be
    bool is_proven_ = false;           // it has answered, or carried an authentic packet to us
    bool has_answered_;                // the other side speaks our checks
    std::optional<Endpoint> kernel_;   // as last seen
    std::optional<Endpoint> dropped_;  // a relay's place by TLS that was in use
    std::optional<BootTime> looked_at_;
    std::optional<BootTime> looked_before_;
    std::optional<BootTime> traffic_at_;
    std::optional<BootTime> search_began_;
    bool is_search_afresh_ = false;
    std::optional<BootTime> moved_at_;
    std::optional<BootTime> suspect_since_;
    std::optional<BootTime> burst_at_;  // of a suspicion
    BootTime better_at_ = BootTime::max();
    std::chrono::milliseconds better_pause_{0};
    BootTime search_again_ = BootTime::max();
    std::chrono::milliseconds search_pause_{0};
    bool wants_write_ = false;
    std::optional<BootTime> told_at_;     // to_write() said so, of this choice
    std::optional<BootTime> written_at_;  // of any
    std::chrono::milliseconds write_pause_{0};
    std::chrono::milliseconds beat_ = kBeat;
};

}  // namespace cvlan::reach
