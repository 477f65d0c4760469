// SPDX-License-Identifier: Apache-2.0
#pragma once

// What all views of one database share: its connections, the queue of those who write, and the way
// of committed events to the listeners. Any thread may read and write; listeners are called as
// store.h says. Only store includes it.
//
// Writers that come while a transaction is being committed go into the next one together: one wait
// for the disk serves them all. Each body is a part that can fail alone, and none is answered
// before the commit.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/unique_fd.h"
#include "model/audit.h"
#include "store/database.h"
#include "store/reservation.h"
#include "store/together.h"
#include "store/types.h"

namespace cvlan::store {

class Feed;

// What the body of a read or a write has in its hands.
struct Work {
    Database& db;
    std::vector<Event> events{};              // of its changes
    std::vector<model::AuditEntry> drafts{};  // their audit entries, until the body's end
    // Where the audit of the tenant whose change was recorded last goes on.
    struct Chain {
        std::string tenant_id;
        model::AuditAnchor last;
    };
    std::optional<Chain> chain{};
};

class Engine {
public:
    using Connect = std::function<Result<std::unique_ptr<Database>>(Access)>;
    struct Parts {
        Connect connect;
        std::unique_ptr<Database> writer;
        UniqueFd lock;  // held as long as the engine lives
        int64_t epoch = 0;
        // What failed before anything had happened is not tried anew after so long.
        std::chrono::milliseconds patience{10'000};
    };
    Engine(Parts parts, const Clock& clock);
    ~Engine();

    // The body runs in a transaction that reads one state of the database.
    template <class Body>
    auto read(Body body) -> decltype(body());
    // Runs body in a transaction, commits where it succeeds, then tells the listeners. It may run
    // more than once, where the database undid what it had done.
    template <class Body>
    auto write(Body body) -> decltype(body());

    // Of the body that runs on this thread.
    static Work& work();

    void on_event(std::function<void(const Event&)> listener);
    // Other processes write into the same database, and this one is told of it by `feed`.
    Result<void> share(std::unique_ptr<Feed> feed);
    // Tells the listeners what others have changed: of one tenant, where it has come to this
    // revision and they do not know it, or of all.
    Result<void> catch_up(const std::string& tenant_id, Revision revision);
    Result<void> catch_up_all();

    const Clock& clock() const { return clock_; }
    int64_t epoch() const { return parts_.epoch; }
    uint64_t commits() const { return commits_; }
    size_t waiting() { return writing_.waiting(); }  // bodies, for the next transaction
    Together<Reservation>& reserving() { return reserving_; }
    const metrics::Histogram& write_seconds() const { return write_seconds_; }

private:
    using Step = std::function<Result<void>()>;
    struct Job {
        const Step& body;
        Result<void> outcome{};
    };
    struct Batch;

    template <class R, class Body>
    static Step step_of(std::optional<R>& result, Body& body);
    Result<void> run_read(const Step& body);
    Result<void> run_write(const Step& body);
    void run_batch(const std::vector<Job*>& jobs);
    bool try_batch(Batch& batch);
    static Result<void> run_part(Database& db, Job& job, Batch& batch);
    Result<void> commit(Database& db, const Batch& batch);
    Result<std::unique_ptr<Database>> take_reader();
    void give_reader(std::unique_ptr<Database> db);

    void deliver();
    void tell_committed();
    Result<void> tell_up_to(const Event& event);
    Result<void> tell_others(const std::string& tenant_id, Revision before);
    void miss(const std::string& tenant_id, Revision through);
    void tell(const Event& event);

    Parts parts_;
    const Clock& clock_;
    std::atomic<uint64_t> commits_ = 0;
    metrics::Histogram write_seconds_;

    Together<Job> writing_;  // whoever has the turn has parts_.writer
    Together<Reservation> reserving_;

    std::mutex pool_;
    std::condition_variable reader_given_;
    std::vector<std::unique_ptr<Database>> idle_readers_;
    int readers_ = 0;

    std::mutex delivery_;  // taken before events_
    std::atomic<std::thread::id> deliverer_{};
    std::map<std::string, Revision> told_;  // of each tenant, where the database is shared
    std::mutex events_;
    std::deque<Event> committed_;
    std::vector<std::function<void(const Event&)>> listeners_;
    std::unique_ptr<Feed> feed_;  // ends first: it calls this engine
};

// The connection of the body that runs on this thread.
class BodyDatabase {
public:
    template <class... Args>
    Statement sql(std::string_view text, const Args&... args) const {
        return Engine::work().db.sql(text, args...);
    }
    int64_t changes() const { return Engine::work().db.changes(); }
    void ask_ahead(const std::function<void()>& questions) const {
        Engine::work().db.ask_ahead(questions);
    }
    operator Database&() const { return Engine::work().db; }
};

template <class R, class Body>
Engine::Step Engine::step_of(std::optional<R>& result, Body& body) {
    return [&]() -> Result<void> {
        result.emplace(body());
        if (!*result) return failed(result->error());
        return {};
    };
}

template <class Body>
auto Engine::read(Body body) -> decltype(body()) {
    std::optional<decltype(body())> result;
    if (auto done = run_read(step_of(result, body)); !done) return failed(done.error());
    return std::move(*result);
}

template <class Body>
auto Engine::write(Body body) -> decltype(body()) {
    const auto started = std::chrono::steady_clock::now();
    std::optional<decltype(body())> result;
    auto done = run_write(step_of(result, body));
    write_seconds_.observe(std::chrono::steady_clock::now() - started);
    deliver();
    if (!done) return failed(done.error());
    return std::move(*result);
}

}  // namespace cvlan::store
