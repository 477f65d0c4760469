// SPDX-License-Identifier: Apache-2.0
#pragma once

// LISTEN on a connection of its own: each commit that wrote events notes "<tenant> <revision>". A
// note only wakes; what changed is read from the table of events. Where the connection was lost,
// everything is looked at anew once it is back.

#include <atomic>
#include <memory>
#include <thread>

#include "base/unique_fd.h"
#include "store/feed.h"
#include "store/postgres.h"

namespace cvlan::store {

class PostgresFeed final : public Feed {
public:
    struct Times {
        std::chrono::milliseconds quiet = std::chrono::seconds(5);     // until the server is asked
        std::chrono::milliseconds patience = std::chrono::seconds(5);  // for its answer
    };
    // Listens when it returns.
    static Result<std::unique_ptr<PostgresFeed>> open(const PostgresAddress& address, Post post,
                                                      const Times& times);
    ~PostgresFeed() override;

    void start(Engine& engine) override;
    void fall_behind() override;

private:
    PostgresFeed(PostgresAddress address, Post post, const Times& times)
        : address_(std::move(address)), post_(std::move(post)), times_(times) {}
    Result<std::unique_ptr<PostgresDatabase>> listening() const;
    void follow();
    bool wait();
    void reconnect();
    void lose(const Error& why);
    void take_notes();
    void run(std::function<Result<void>()> task);

    PostgresAddress address_;
    Post post_;
    Times times_;
    std::unique_ptr<PostgresDatabase> db_;  // null: lost
    UniqueFd wake_;                         // eventfd(2)
    Engine* engine_ = nullptr;
    std::atomic<bool> is_behind_ = false;
    std::atomic<bool> is_ending_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what is posted looks at it
    std::thread thread_;
};

}  // namespace cvlan::store
