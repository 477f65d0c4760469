// SPDX-License-Identifier: Apache-2.0
#pragma once

// Rounds with charon on a thread of their own: a charon that stands still costs nobody else. Each
// 4 s, and sooner when something else is wanted or has happened. All but the thread's own work is
// for whoever made it. Its end changes nothing in charon or the kernel.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "ike/rounds.h"

namespace cvlan::ike {

// What somebody wants now, and not with the next round.
struct Ask {
    enum class What { Look, Rekey, Terminate };
    What what = What::Look;
    std::string connection{};  // whose SAs
    // From the Keeper's thread, once, after a round that has it: how many SAs it was about.
    // Unavailable: charon, or the Keeper ends.
    std::function<void(const Result<uint32_t>& sas)> done{};
};

class Keeper {
public:
    struct Parts {
        const Clock& clock;
        vici::SocketAt at{};
        std::function<Result<xfrm::Client>()> open_states{};
        std::function<void()> on_round{};  // from its thread; something is other than before
        std::chrono::milliseconds every{4000};
    };
    explicit Keeper(Parts parts);
    ~Keeper();
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    void set(std::shared_ptr<const Wanted> want);  // nothing is done before the first one
    void look();                                   // something has happened
    void ask(Ask what);
    std::shared_ptr<const Status> status() const;  // nothing before the first round

private:
    void run();
    Status round(const Wanted& want);
    void answer(const std::string& trouble);
    std::shared_ptr<const Wanted> wait();
    void tell(Status status);
    void watch(const Status& status);

    Parts parts_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::shared_ptr<const Wanted> want_;
    std::shared_ptr<const Status> status_;
    std::vector<Ask> asked_;
    std::unique_ptr<Rounds> rounds_;  // of its thread alone, as the next
    std::vector<std::pair<Ask, Result<uint32_t>>> done_;
    bool is_due_ = false;
    bool is_ending_ = false;
    std::thread thread_;
};

}  // namespace cvlan::ike
