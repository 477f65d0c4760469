// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/job_runner.h"

#include "base/log.h"
#include "store/jobs.h"

namespace cvlan::controller {

using namespace std::chrono_literals;

namespace {
constexpr auto kAgainAfterFailure = 60s;
}

JobRunner::JobRunner(Parts parts, std::vector<JobKind> kinds)
    : parts_(std::move(parts)), kinds_(std::move(kinds)) {
    for (const JobKind& kind : kinds_) figures_[kind.name].name = kind.name;
}

Result<void> JobRunner::start() {
    std::vector<std::string> names;
    for (const JobKind& kind : kinds_) names.push_back(kind.name);
    if (auto made = parts_.store.jobs().ensure(names); !made) return made;
    look_ = parts_.loop.every(parts_.look_every, [this] { look(); });
    return {};
}

// One read says which are due, so that an idle controller writes nothing.
void JobRunner::look() {
    auto jobs = parts_.store.jobs().list({});
    if (!jobs) {
        if (!std::exchange(is_unreadable_, true))
            log::warn("jobs.unreadable", {{"reason", jobs.error().message}});
        return;
    }
    is_unreadable_ = false;
    const WallTime now = parts_.clock.now();
    for (const JobKind& kind : kinds_) {
        const auto job = std::find_if(jobs->items.begin(), jobs->items.end(),
                                      [&](const auto& row) { return row.name == kind.name; });
        const bool is_due =
            job != jobs->items.end() && job->next_run_at <= now && job->leased_until <= now;
        if (!is_due || running_.contains(kind.name)) continue;
        if (kind.is_needed && !kind.is_needed(parts_.store)) continue;
        auto lease = parts_.store.jobs().take(kind.name, parts_.holder);
        if (!lease)
            log::warn("jobs.not_taken", {{"job", kind.name}, {"reason", lease.error().message}});
        else if (*lease)
            begin(kind, **lease);
    }
}

void JobRunner::begin(const JobKind& kind, const store::Lease& lease) {
    auto store = parts_.store.as({.actor = "job:" + kind.name});
    store = store->under(lease);
    running_.emplace(kind.name, Running{kind, lease, std::move(store), kind.begin()});
    step(kind.name);
}

void JobRunner::step(const std::string& name) {
    Running& running = running_.at(name);
    auto done = running.run->step(*running.store);
    if (!done) return end(name, failed(done.error()));
    if (*done) return end(name, **done);
    running.next = parts_.loop.after(parts_.pause, [this, name] { step(name); });
}

void JobRunner::end(const std::string& name, const Result<std::string>& result) {
    const auto at = running_.find(name);
    const Running running = std::move(at->second);
    running_.erase(at);
    const WallTime now = parts_.clock.now();
    const auto pause =
        result ? running.kind.every
               : std::min<std::chrono::milliseconds>(running.kind.every, kAgainAfterFailure);
    count(name, result.has_value(), now);
    if (result) {
        log::debug("jobs.done", {{"job", name}, {"result", *result}});
    } else {
        log::warn("jobs.failed", {{"job", name}, {"reason", result.error().message}});
        // It is the other's to say what comes of it.
        if (result.error().reason == "LEASE_LOST") return;
    }
    const auto ended = parts_.store.jobs().finish(
        running.lease,
        {result.has_value(), result ? *result : result.error().message, now + pause});
    if (!ended) log::warn("jobs.failed", {{"job", name}, {"reason", ended.error().message}});
}

void JobRunner::count(const std::string& name, bool has_succeeded, WallTime now) {
    const std::lock_guard lock(figures_mutex_);
    api::JobFigures& figures = figures_[name];
    ++(has_succeeded ? figures.succeeded : figures.failed);
    if (has_succeeded) figures.last_success = now;
}

// What runs is let go, for another controller or the next start.
void JobRunner::stop() {
    look_.cancel();
    for (const auto& [name, running] : running_)
        (void)parts_.store.jobs().finish(running.lease, {false, "interrupted", parts_.clock.now()});
    running_.clear();
}

std::vector<api::JobFigures> JobRunner::figures() const {
    const std::lock_guard lock(figures_mutex_);
    std::vector<api::JobFigures> all;
    for (const auto& [name, figures] : figures_) all.push_back(figures);
    return all;
}

}  // namespace cvlan::controller
