// SPDX-License-Identifier: Apache-2.0
#pragma once

// PostgreSQL's connection by libpq, behind the shape that both databases have. It is in pipeline
// mode: a statement that has no answer (Statement::run in a transaction) is sent and not waited
// for; the next one that has, or the commit, reads what became of those before it. So a verb costs
// a round trip for each question that it did not ask ahead, and one for its commit. After a failure
// the server skips what follows, and so does this side: the first failure is what everyone is told.
//
// libpq's documentation, chapters 34.5 "Pipeline Mode" and 34.9 "Asynchronous Notification".

#include <libpq-fe.h>

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "store/database.h"
#include "store/open.h"

namespace cvlan::store {

inline constexpr const char* kEventChannel = "cvlan_events";

struct PgParameter {
    Oid type = 0;  // 0: NULL
    std::string value{};
    bool operator==(const PgParameter&) const = default;
};

class PostgresDatabase final : public Database {
public:
    // `patience`: how long an answer is waited for, and half of what a transaction that writes may
    // take, but for a script in it; the default is longer than any limit that the server has from
    // us.
    static Result<std::unique_ptr<PostgresDatabase>> open(
        const PostgresAddress& address,
        std::chrono::milliseconds patience = std::chrono::seconds(15));
    ~PostgresDatabase() override;

    void ask_ahead(const std::function<void()>& questions) override;
    Result<void> run_script(const std::string& script) override;
    int64_t changes() override;
    int64_t total_changes() override { return total_changes_; }
    Dialect dialect() const override { return Dialect::Postgres; }

    Result<void> begin(Access access) override;
    Result<void> commit() override;
    void rollback() override;
    Result<void> begin_part() override;
    Result<void> end_part() override;
    void undo_part() override;
    Result<void> check() override;
    bool is_lost() const override { return is_broken() || may_run_anew_; }
    bool may_run_anew() const override { return may_run_anew_; }
    bool is_broken() const override { return is_broken_; }
    void blame(const char* reason) override { reason_ = reason; }
    void notify(const std::string& note) override;

    // LISTEN, and the notes that came. For a connection that does nothing else.
    Result<void> listen();
    int fd() const { return PQsocket(conn_.get()); }
    Result<std::vector<std::string>> notifications();
    Result<void> see_whether_it_answers();
    int server_pid() const { return PQbackendPID(conn_.get()); }
    // How often an answer was waited for.
    uint64_t round_trips() const { return round_trips_; }

    struct ClearResult {
        void operator()(PGresult* result) const { PQclear(result); }
    };
    using Rows = std::unique_ptr<PGresult, ClearResult>;
    // Waits for the statement's answer.
    Result<Rows> ask(const std::string& text, const std::vector<PgParameter>& parameters);
    // Sends it for who asks the same next.
    void send_ahead(const std::string& text, std::vector<PgParameter> parameters);
    bool is_asking_ahead() const { return is_asking_ahead_; }
    // Does not wait, inside a transaction.
    Result<void> tell(const std::string& text, const std::vector<PgParameter>& parameters);

private:
    struct Close {
        void operator()(PGconn* conn) const { PQfinish(conn); }
    };
    enum class Kind { Prepare, Execute, Sync };
    static constexpr uint64_t kFirstStudy = 1'000;  // statements
    static constexpr uint64_t kLastStudy = 1'000'000;
    // A question that was sent ahead, and its rows once they are here.
    struct Ahead {
        std::string text;
        std::vector<PgParameter> parameters;
        Rows rows{};
    };
    // What was sent and not answered yet.
    struct Sent {
        Kind kind = Kind::Execute;
        std::string text{};  // of the statement
        const char* reason = nullptr;
        std::shared_ptr<Ahead> ahead{};
    };

    PostgresDatabase(PGconn* conn, std::chrono::milliseconds patience)
        : conn_(conn), patience_(patience) {}
    std::unique_ptr<Cursor> prepare(std::string_view text) override;
    std::unique_ptr<Cursor> prepare_rows(std::string_view text, size_t columns) override;
    Result<void> set_up();
    Result<void> send(const std::string& text, const std::vector<PgParameter>& parameters);
    Result<void> sync();
    Result<Rows> read_all();
    std::shared_ptr<Ahead> sent_ahead(const std::string& text,
                                      const std::vector<PgParameter>& parameters);
    void take(const Sent& sent, Rows& last);
    Rows wait_for_result();
    Rows run_in_time(const char* script);
    void study_tables();
    using Moment = std::chrono::steady_clock::time_point;
    void renew_deadline() { ends_by_ = std::chrono::steady_clock::now() + 2 * patience_; }
    void keep_failure(const PGresult* result, const char* reason = nullptr);
    Error lose_connection(const std::string& why);
    Result<void> outcome() const;

    std::unique_ptr<PGconn, Close> conn_;
    std::chrono::milliseconds patience_;
    std::unordered_map<std::string, std::string> names_;  // of statements the server has prepared
    uint64_t named_ = 0;
    uint64_t executed_ = 0;  // statements
    uint64_t studies_at_ = kFirstStudy;
    std::deque<Sent> sent_;
    std::vector<std::shared_ptr<Ahead>> ahead_;  // until something is changed
    bool is_asking_ahead_ = false;
    std::optional<Error> failure_;  // the transaction's first
    std::optional<Access> open_;    // the transaction's
    Moment ends_by_{};              // where it writes
    const char* reason_ = nullptr;
    bool may_run_anew_ = false;
    bool is_committing_ = false;
    bool is_broken_ = false;
    int64_t changes_ = 0;
    int64_t total_changes_ = 0;
    uint64_t round_trips_ = 0;
};

// What a caller can do about an SQLSTATE (PostgreSQL's documentation, appendix A).
Code code_of_sqlstate(std::string_view state);

}  // namespace cvlan::store
