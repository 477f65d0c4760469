// SPDX-License-Identifier: Apache-2.0
#include "store/engine.h"

#include <algorithm>
#include <cassert>
#include <map>

#include "store/feed.h"

namespace cvlan::store {

namespace {

constexpr int kTries = 5;
constexpr int kReaders = 8;

thread_local Work* running = nullptr;

class Running {
public:
    explicit Running(Work& work) : outer_(std::exchange(running, &work)) {}
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() { running = outer_; }

private:
    Work* outer_;
};

}  // namespace

// Bodies that share one transaction.
struct Engine::Batch {
    const std::vector<Job*>& jobs;
    std::vector<Event> events{};

    bool has_success() const {
        return std::any_of(jobs.begin(), jobs.end(),
                           [](const Job* job) { return job->outcome.has_value(); });
    }
    void fail_all(const Error& error) {
        for (Job* job : jobs) job->outcome = failed(error);
        events.clear();
    }
};

Engine::Engine(Parts parts, const Clock& clock) : parts_(std::move(parts)), clock_(clock) {}
Engine::~Engine() = default;

Work& Engine::work() {
    assert(running && "outside a body of read or write");
    return *running;
}

Result<std::unique_ptr<Database>> Engine::take_reader() {
    std::unique_lock lock(pool_);
    reader_given_.wait(lock, [&] { return !idle_readers_.empty() || readers_ < kReaders; });
    if (!idle_readers_.empty()) {
        auto db = std::move(idle_readers_.back());
        idle_readers_.pop_back();
        return db;
    }
    ++readers_;
    lock.unlock();
    auto db = parts_.connect(Access::Read);
    if (!db) give_reader(nullptr);
    return db;
}

void Engine::give_reader(std::unique_ptr<Database> db) {
    const std::lock_guard lock(pool_);
    if (db && !db->is_broken()) {
        idle_readers_.push_back(std::move(db));
    } else {
        // Those that were opened before it are broken too, as a rule: the server has ended.
        readers_ -= 1 + (db ? static_cast<int>(idle_readers_.size()) : 0);
        if (db) idle_readers_.clear();
    }
    reader_given_.notify_one();
}

Result<void> Engine::run_read(const Step& body) {
    for (int tries = 1;; ++tries) {
        auto db = take_reader();
        if (!db) return failed(db.error());
        Result<void> done = (*db)->begin(Access::Read);
        if (done) {
            Work work{**db};
            const Running now(work);
            done = body();
        }
        const bool again = !done && (*db)->may_run_anew() && tries < kTries;
        if (!(*db)->commit()) (*db)->rollback();
        give_reader(std::move(*db));
        if (!again) return done;
    }
}

Result<void> Engine::run_write(const Step& body) {
    Job job{body};
    writing_.run(job, [this](const std::vector<Job*>& jobs) { run_batch(jobs); });
    return job.outcome;
}

void Engine::run_batch(const std::vector<Job*>& jobs) {
    const auto until = std::chrono::steady_clock::now() + parts_.patience;
    for (int tries = 1;; ++tries) {
        Batch batch{jobs};
        const bool is_over = try_batch(batch) || tries == kTries;
        if (!is_over && std::chrono::steady_clock::now() < until) continue;
        const std::lock_guard lock(events_);
        committed_.insert(committed_.end(), batch.events.begin(), batch.events.end());
        return;
    }
}

// False where nothing has happened and running all anew may succeed.
bool Engine::try_batch(Batch& batch) {
    if (!parts_.writer || parts_.writer->is_broken()) {
        auto opened = parts_.connect(Access::Write);
        if (!opened) {
            batch.fail_all(opened.error());
            return true;
        }
        // The broken one ends after the new one was opened: were it the last on a file of SQLite's,
        // what it has failed to write would be read from the log as if it had been committed.
        parts_.writer = std::move(*opened);
    }
    Database& db = *parts_.writer;
    const auto fails = [&](const Error& error) {
        const bool again = db.may_run_anew();
        db.rollback();
        batch.fail_all(error);
        return !again;
    };
    if (auto begun = db.begin(Access::Write); !begun) return fails(begun.error());
    const int64_t before = db.total_changes();
    for (Job* job : batch.jobs) {
        job->outcome = run_part(db, *job, batch);
        if (!job->outcome && db.is_lost()) return fails(job->outcome.error());
    }
    if (!batch.has_success()) {
        db.rollback();
        return true;
    }
    if (auto done = commit(db, batch); !done) {
        const bool again = db.may_run_anew();
        db.rollback();
        for (Job* job : batch.jobs)
            if (job->outcome) job->outcome = failed(done.error());
        batch.events.clear();
        return !again;
    }
    if (db.total_changes() != before) ++commits_;
    return true;
}

// Alone in its transaction, a body needs no part of its own.
Result<void> Engine::run_part(Database& db, Job& job, Batch& batch) {
    const bool is_alone = batch.jobs.size() == 1;
    if (!is_alone)
        if (auto begun = db.begin_part(); !begun) return begun;
    Work work{db};
    Result<void> done;
    {
        const Running now(work);
        done = job.body();
    }
    if (!is_alone && done) done = db.end_part();
    if (!is_alone && !done) db.undo_part();
    if (done) batch.events.insert(batch.events.end(), work.events.begin(), work.events.end());
    return done;
}

Result<void> Engine::commit(Database& db, const Batch& batch) {
    std::map<std::string, Revision> newest;
    for (const Event& event : batch.events) newest[event.tenant_id] = event.revision;
    for (const auto& [tenant_id, revision] : newest)
        db.notify(fmt::format("{} {}", tenant_id, revision));
    return db.commit();
}

}  // namespace cvlan::store
