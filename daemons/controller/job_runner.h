// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs the jobs that are due, in short slices on the loop, so that nobody waits for them. It takes
// a job's lease first and gives each slice the store under that lease; where another controller has
// taken the job over meanwhile, the slice fails and the job is let go. Loop thread only, but for
// figures().

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/metrics.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "store/store.h"

namespace cvlan::controller {

// One run of a job. Each step is short; the last one says what has come of it.
class JobRun {
public:
    virtual ~JobRun() = default;
    // Nothing: there is more to do.
    virtual Result<std::optional<std::string>> step(store::Store& store) = 0;
};

struct JobKind {
    std::string name;
    std::chrono::milliseconds every{};
    std::function<std::unique_ptr<JobRun>()> begin;
    // A look whether there is anything to do, so that its lease is not taken in vain; not set: yes.
    std::function<bool(store::Store&)> is_needed{};
};

class JobRunner {
public:
    struct Parts {
        EventLoop& loop;
        store::Store& store;
        const Clock& clock;
        std::string holder;  // of leases: this process
        std::chrono::milliseconds look_every{1000};
        std::chrono::milliseconds pause{10};  // between two slices
    };
    JobRunner(Parts parts, std::vector<JobKind> kinds);

    // Makes the jobs' rows and begins to look for those that are due.
    Result<void> start();
    // Looks now.
    void look();
    void stop();

    std::vector<api::JobFigures> figures() const;

private:
    struct Running {
        const JobKind& kind;
        store::Lease lease;
        std::unique_ptr<store::Store> store;
        std::unique_ptr<JobRun> run;
        Timer next{};
    };
    void begin(const JobKind& kind, const store::Lease& lease);
    void step(const std::string& name);
    void end(const std::string& name, const Result<std::string>& result);
    void count(const std::string& name, bool has_succeeded, WallTime now);

    Parts parts_;
    std::vector<JobKind> kinds_;
    std::map<std::string, Running> running_;
    mutable std::mutex figures_mutex_;
    std::map<std::string, api::JobFigures> figures_;
    Timer look_;
    bool is_unreadable_ = false;
};

}  // namespace cvlan::controller
