// SPDX-License-Identifier: Apache-2.0
#pragma once

// The blocking queries that wait for a change: at most one a node, the newest wins (the one before
// is answered 304). A poll ends with its answer, its time, its client or the server's drain.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/event_loop.h"
#include "http/server.h"

namespace cvlan::api {

class Polls {
public:
    explicit Polls(EventLoop& loop) : loop_(loop) {}

    // What the poll is to be told now; nullopt to go on waiting.
    using Ask = std::function<std::optional<http::Response>()>;

    void hold(const std::string& node_id, std::chrono::seconds wait, Ask ask, http::Reply reply);
    // Asks again for each of these that is waiting.
    void wake(const std::vector<std::string>& node_ids);
    size_t waiting() const { return polls_.size(); }

private:
    struct Poll {
        uint64_t number = 0;
        Ask ask;
        http::Reply reply;
        Timer timer;
    };
    void end(const std::string& node_id, uint64_t number, http::Response response);

    EventLoop& loop_;
    uint64_t next_ = 0;
    std::unordered_map<std::string, std::unique_ptr<Poll>> polls_;
};

}  // namespace cvlan::api
