// SPDX-License-Identifier: Apache-2.0
#include "store/postgres_feed.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <charconv>
#include <map>

#include "base/log.h"
#include "store/engine.h"

namespace cvlan::store {

namespace {

constexpr int kRetryMs = 500;

}  // namespace

Result<std::unique_ptr<PostgresDatabase>> PostgresFeed::listening() const {
    auto db = PostgresDatabase::open(address_, times_.patience);
    if (!db) return db;
    if (auto listens = (*db)->listen(); !listens) return failed(listens.error());
    return db;
}

Result<std::unique_ptr<PostgresFeed>> PostgresFeed::open(const PostgresAddress& address, Post post,
                                                         const Times& times) {
    std::unique_ptr<PostgresFeed> feed(new PostgresFeed(address, std::move(post), times));
    feed->wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!feed->wake_) return failed(errno_error("eventfd"));
    auto db = feed->listening();
    if (!db) return failed(db.error());
    feed->db_ = std::move(*db);
    return feed;
}

PostgresFeed::~PostgresFeed() {
    is_ending_ = true;
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
    if (thread_.joinable()) thread_.join();
}

void PostgresFeed::start(Engine& engine) {
    engine_ = &engine;
    thread_ = std::thread([this] { follow(); });
}

void PostgresFeed::fall_behind() {
    is_behind_ = true;
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

void PostgresFeed::follow() {
    while (!is_ending_) {
        const bool is_quiet = !wait();
        if (is_ending_) return;
        if (db_ && is_quiet)
            if (auto there = db_->see_whether_it_answers(); !there) lose(there.error());
        if (!db_) reconnect();
        if (db_) take_notes();
        if (db_ && is_behind_.exchange(false)) run([this] { return engine_->catch_up_all(); });
    }
}

// For a note, a word from this process, or the time to try again; false: nothing came.
bool PostgresFeed::wait() {
    pollfd fds[] = {{wake_.get(), POLLIN, 0}, {db_ ? db_->fd() : -1, POLLIN, 0}};
    const int patience = db_ && !is_behind_ ? static_cast<int>(times_.quiet.count()) : kRetryMs;
    const int ready = ::poll(fds, 2, patience);
    uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
    return ready > 0;
}

void PostgresFeed::lose(const Error& why) {
    log::warn("store.feed_lost", {{"reason", why.message}});
    db_.reset();
}

void PostgresFeed::reconnect() {
    auto db = listening();
    if (!db) return;
    db_ = std::move(*db);
    is_behind_ = true;
    log::info("store.feed_restored");
}

void PostgresFeed::take_notes() {
    auto notes = db_->notifications();
    if (!notes) {
        lose(notes.error());
        return;
    }
    std::map<std::string, Revision> newest;
    for (const std::string& note : *notes) {
        const size_t space = note.find(' ');
        if (space == std::string::npos) continue;
        Revision revision = 0;
        std::from_chars(note.data() + space + 1, note.data() + note.size(), revision);
        Revision& known = newest[note.substr(0, space)];
        known = std::max(known, revision);
    }
    for (const auto& [tenant_id, revision] : newest)
        run([this, tenant_id = tenant_id, revision = revision] {
            return engine_->catch_up(tenant_id, revision);
        });
}

void PostgresFeed::run(std::function<Result<void>()> task) {
    auto checked = [this, task = std::move(task), alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.lock()) return;
        if (task()) return;
        is_behind_ = true;  // looked at when it has been quiet next
    };
    if (post_)
        post_(checked);
    else
        checked();
}

}  // namespace cvlan::store
