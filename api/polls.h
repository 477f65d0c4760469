// SPDX-License-Identifier: Apache-2.0
#pragma once

// The blocking queries that wait for a change: at most one a node, the newest wins. The one before
// is answered 409 SESSION_REPLACED, which whoever is left to read it takes as a reason to wait: the
// node's identity is on two machines (T8), and at 304 both would ask again at once, for ever. An
// agent that drops its own connection and asks anew never reads it. A poll ends with its answer,
// its time, its client or the server's drain.
//
// Those who wait for one network stand together: to wake them costs the same for ten and for ten
// thousand. They are answered a slice a turn of the loop, in the order of the changes, so that
// nobody else waits behind a large network.

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "http/server.h"
#include "maps/maps.h"

namespace cvlan::api {

class Polls {
public:
    Polls(EventLoop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}

    struct Waiter {
        std::string tenant_id;
        std::string node_id;
        std::string request_id;
        std::vector<std::string> networks;  // whose changes it waits for
        std::chrono::seconds wait{0};
    };

    // What the poll is to be told now; nullopt to go on waiting.
    using Ask = std::function<std::optional<http::Response>()>;

    void hold(Waiter waiter, Ask ask, http::Reply reply);
    // Asks again for each that waits for one of these, from the loop's next turn on.
    void wake(const maps::Touched& touched);
    size_t waiting() const { return polls_.size(); }
    // Waits to be asked again because of a change.
    bool is_waking() const { return !ready_.empty(); }

private:
    struct Poll {
        Waiter waiter;
        Ask ask;
        http::Reply reply;
        Timer timer;
    };
    using Numbers = std::unordered_set<uint64_t>;
    void replace(const Waiter& newer);
    void join_networks(uint64_t number, const Poll& poll);
    std::unique_ptr<Poll> take_out(uint64_t number);
    void end(uint64_t number, http::Response response);
    void ask_again(uint64_t number);
    void ask_slice();

    EventLoop& loop_;
    const Clock& clock_;
    uint64_t next_ = 0;
    std::unordered_map<uint64_t, std::unique_ptr<Poll>> polls_;
    std::unordered_map<std::string, uint64_t> by_node_;
    std::unordered_map<std::string, Numbers> by_network_;
    std::deque<Numbers> ready_;  // some may have ended meanwhile
    Timer next_slice_;
    std::unordered_map<std::string, BootTime> warned_at_;  // by node id, of the last minute
};

}  // namespace cvlan::api
