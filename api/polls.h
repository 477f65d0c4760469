// SPDX-License-Identifier: Apache-2.0
#pragma once

// The blocking queries that wait for a change: at most one a node, the newest wins. The one before
// is answered 409 SESSION_REPLACED, which whoever is left to read it takes as a reason to wait: the
// node's identity is on two machines (T8), and at 304 both would ask again at once, for ever. An
// agent that drops its own connection and asks anew never reads it. A poll ends with its answer,
// its time, its client or the server's drain.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "http/server.h"

namespace cvlan::api {

class Polls {
public:
    Polls(EventLoop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}

    struct Waiter {
        std::string tenant_id;
        std::string node_id;
        std::string request_id;
        std::chrono::seconds wait{0};
    };

    // What the poll is to be told now; nullopt to go on waiting.
    using Ask = std::function<std::optional<http::Response>()>;

    void hold(const Waiter& waiter, Ask ask, http::Reply reply);
    // Asks again for each of these that is waiting.
    void wake(const std::vector<std::string>& node_ids);
    size_t waiting() const { return polls_.size(); }

private:
    struct Poll {
        uint64_t number = 0;
        std::string request_id;
        Ask ask;
        http::Reply reply;
        Timer timer;
    };
    void replace(const Waiter& newer);
    void end(const std::string& node_id, uint64_t number, http::Response response);

    EventLoop& loop_;
    const Clock& clock_;
    uint64_t next_ = 0;
    std::unordered_map<std::string, std::unique_ptr<Poll>> polls_;
    std::unordered_map<std::string, BootTime> warned_at_;  // by node id, of the last minute
};

}  // namespace cvlan::api
