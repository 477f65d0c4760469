// SPDX-License-Identifier: Apache-2.0
#include "store/postgres.h"

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <charconv>

#include "base/file.h"
#include "base/secret.h"
#include "store/postgres_arrays.h"
#include "store/translate.h"

namespace cvlan::store {

namespace {

// So many answers lie in the socket's buffer at most: a server that can not send does not read.
constexpr size_t kSentAtOnce = 200;

// Numbers go as text: what a placeholder is to the server may be another kind of number.
bool is_text(Oid type) { return type == kText || type == kInt8 || type == 0; }

struct FreeOptions {
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

std::string one_line(const char* text) {
    std::string line(text ? text : "");
    while (!line.empty() && line.back() == '\n') line.pop_back();
    for (char& c : line)
        if (c == '\n') c = ' ';
    return line;
}

}  // namespace

Code code_of_sqlstate(std::string_view state) {
    if (state == "23505") return Code::Exists;
    if (state == "23503") return Code::Conflict;
    if (state == "22021" || state == "22P05") return Code::Invalid;  // no UTF-8, or a NUL
    for (const char* prefix : {"08", "40", "53", "55P03", "57", "58", "25006", "3D", "28", "25P03"})
        if (state.starts_with(prefix)) return Code::Unavailable;
    if (state.starts_with("XX0")) return state == "XX000" ? Code::Internal : Code::Malformed;
    return Code::Internal;
}

Result<void> check_postgres_url(const std::string& url) {
    const bool is_uri = url.starts_with("postgres://") || url.starts_with("postgresql://");
    if (!is_uri) return fail(Code::Invalid, "must begin with postgres://");
    char* fault = nullptr;
    const std::unique_ptr<PQconninfoOption, FreeOptions> options(
        PQconninfoParse(url.c_str(), &fault));
    if (!options) {
        // libpq's own words may quote what stands there.
        PQfreemem(fault);
        return fail(Code::Invalid, "is no connection URI of PostgreSQL");
    }
    for (const PQconninfoOption* option = options.get(); option->keyword; ++option)
        if (option->keyword == std::string_view("password") && option->val)
            return fail(Code::Invalid, "must not hold a password: name a file that does");
    return {};
}

Result<std::unique_ptr<PostgresDatabase>> PostgresDatabase::open(
    const PostgresAddress& address, std::chrono::milliseconds patience) {
    if (auto good = check_postgres_url(address.url); !good) return failed(good.error());
    SecretText password;
    if (!address.password_file.empty()) {
        auto file = read_secret_file(address.password_file, 4096);
        if (!file) return failed(file.error());
        while (!file->empty() && (file->back() == '\n' || file->back() == '\r')) file->pop_back();
        password = SecretText(std::move(*file));
    }
    const bool has_password = !address.password_file.empty();
    const char* const keywords[] = {"dbname",
                                    "fallback_application_name",
                                    "connect_timeout",
                                    "client_encoding",
                                    "tcp_user_timeout",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    has_password ? "password" : nullptr,
                                    nullptr};
    const char* const values[] = {address.url.c_str(),
                                  "cvlan-controller",
                                  "5",
                                  "UTF8",
                                  "15000",
                                  "5",
                                  "2",
                                  "3",
                                  password.reveal().c_str(),
                                  nullptr};
    std::unique_ptr<PostgresDatabase> db(
        new PostgresDatabase(PQconnectdbParams(keywords, values, 1), patience));
    if (PQstatus(db->conn_.get()) != CONNECTION_OK)
        return fail(Code::Unavailable, "{}", one_line(PQerrorMessage(db->conn_.get())));
    if (auto ready = db->set_up(); !ready) return failed(ready.error());
    return db;
}

PostgresDatabase::~PostgresDatabase() = default;

// A controller that hangs must not keep the others from writing: the server ends its transaction.
Result<void> PostgresDatabase::set_up() {
    PQsetNoticeProcessor(
        conn_.get(), [](void*, const char*) {}, nullptr);
    if (PQserverVersion(conn_.get()) < 150000)
        return fail(Code::Unsupported, "PostgreSQL {} is older than 15",
                    PQserverVersion(conn_.get()) / 10000);
    const Rows done = run_in_time(
        "SET lock_timeout = '10s'; SET statement_timeout = '12s'; "
        "SET idle_in_transaction_session_timeout = '10s'; "
        "SET synchronous_commit = on; SET bytea_output = 'hex'");
    if (PQresultStatus(done.get()) != PGRES_COMMAND_OK) keep_failure(done.get());
    if (auto good = outcome(); !good) return good;
    if (PQenterPipelineMode(conn_.get()) != 1)
        return fail(Code::Internal, "database: no pipeline mode");
    return {};
}

Error PostgresDatabase::lose_connection(const std::string& why) {
    is_broken_ = true;
    sent_.clear();
    // Whether it was done is known to nobody, once the commit is on its way.
    may_run_anew_ = !is_committing_;
    failure_ = Error{
        Code::Unavailable,
        fmt::format("database: connection lost{}: {}", is_committing_ ? " while it committed" : "",
                    why.empty() ? "the server closed it" : one_line(why.c_str()))};
    return *failure_;
}

void PostgresDatabase::keep_failure(const PGresult* result, const char* reason) {
    if (failure_) return;
    const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view state = field ? field : "";
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    // The server ends the connection with a word on why (57P01: shut down; 25P03: idle too long).
    const bool is_end = state.starts_with("57P0") || state == "25P03";
    if (state.empty() || is_end || PQstatus(conn_.get()) == CONNECTION_BAD) {
        (void)lose_connection(message ? message : one_line(PQerrorMessage(conn_.get())));
        return;
    }
    if (state == "40001" || state == "40P01") may_run_anew_ = true;
    // Another connection may be to a server that is written, or to this one when it is again.
    if (state == "25006") is_broken_ = true;
    failure_ = Error{code_of_sqlstate(state), fmt::format("database: {}", message ? message : "")};
    if (!reason) return;
    failure_->code = Code::Unavailable;
    failure_->reason = reason;
}

Result<void> PostgresDatabase::outcome() const {
    if (failure_) return failed(*failure_);
    return {};
}

Result<void> PostgresDatabase::send(const std::string& text,
                                    const std::vector<PgParameter>& parameters) {
    if (failure_) return failed(*failure_);
    if (is_broken_) return fail(Code::Unavailable, "database: connection lost");
    std::vector<Oid> types;
    std::vector<const char*> values;
    std::vector<int> lengths;
    std::vector<int> formats;
    for (const PgParameter& parameter : parameters) {
        types.push_back(parameter.type);
        values.push_back(parameter.type == 0 ? nullptr : parameter.value.c_str());
        lengths.push_back(static_cast<int>(parameter.value.size()));
        formats.push_back(is_text(parameter.type) ? 0 : 1);
    }
    const int count = static_cast<int>(parameters.size());
    auto [name, is_new] = names_.try_emplace(text);
    if (is_new) {
        name->second = fmt::format("s{}", ++named_);
        sent_.push_back({Kind::Prepare, text, reason_});
        const std::string sql = postgres_placeholders(text);
        if (PQsendPrepare(conn_.get(), name->second.c_str(), sql.c_str(), count, types.data()) != 1)
            return failed(lose_connection(one_line(PQerrorMessage(conn_.get()))));
    }
    sent_.push_back({Kind::Execute, {}, reason_});
    ++executed_;
    if (PQsendQueryPrepared(conn_.get(), name->second.c_str(), count, values.data(), lengths.data(),
                            formats.data(), 0) != 1)
        return failed(lose_connection(one_line(PQerrorMessage(conn_.get()))));
    return {};
}

Result<void> PostgresDatabase::sync() {
    if (is_broken_) return outcome();
    if (PQpipelineSync(conn_.get()) != 1)
        return failed(lose_connection(one_line(PQerrorMessage(conn_.get()))));
    sent_.push_back({Kind::Sync});
    return {};
}

// Null: the end of a statement's results, or the connection is lost.
PostgresDatabase::Rows PostgresDatabase::wait_for_result() {
    Moment until = std::chrono::steady_clock::now() + patience_;
    if (open_ == Access::Write) until = std::min(until, ends_by_);
    while (PQisBusy(conn_.get()) == 1) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        pollfd ready{PQsocket(conn_.get()), POLLIN, 0};
        const int count = left.count() <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left.count()));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            (void)lose_connection("no answer in time");
            return nullptr;
        }
        if (PQconsumeInput(conn_.get()) != 1) {
            (void)lose_connection(one_line(PQerrorMessage(conn_.get())));
            return nullptr;
        }
    }
    return Rows(PQgetResult(conn_.get()));
}

// As PQexec, which waits for ever: the result of the last statement, or of the one that failed.
PostgresDatabase::Rows PostgresDatabase::run_in_time(const char* script) {
    Rows last;
    if (PQsendQuery(conn_.get(), script) != 1) return last;
    while (Rows result = wait_for_result()) last = std::move(result);
    if (is_broken_) last.reset();
    return last;
}

// The answers to one thing that was sent; `last` becomes the rows of a statement.
void PostgresDatabase::take(const Sent& sent, Rows& last) {
    while (Rows result = wait_for_result()) {
        switch (PQresultStatus(result.get())) {
            case PGRES_PIPELINE_SYNC:
                return;  // the one answer that no end follows
            case PGRES_COMMAND_OK:
            case PGRES_TUPLES_OK:
                if (sent.kind == Kind::Execute) last = std::move(result);
                break;
            case PGRES_PIPELINE_ABORTED:
                names_.erase(sent.text);
                break;
            default:
                names_.erase(sent.text);
                keep_failure(result.get(), sent.reason);
        }
        if (is_broken_) return;
    }
}

// Everything that was sent; the rows are the last statement's.
Result<PostgresDatabase::Rows> PostgresDatabase::read_all() {
    ++round_trips_;
    Rows last;
    while (!sent_.empty() && !is_broken_) {
        const Sent sent = std::move(sent_.front());
        sent_.pop_front();
        take(sent, last);
        if (sent.ahead) sent.ahead->rows = std::move(last);
        if (sent.kind != Kind::Execute || !last) continue;
        const std::string_view count = PQcmdTuples(last.get());
        if (count.empty() || std::string_view(PQcmdStatus(last.get())).starts_with("SELECT"))
            continue;
        changes_ = 0;
        std::from_chars(count.data(), count.data() + count.size(), changes_);
        total_changes_ += changes_;
    }
    if (failure_) return failed(*failure_);
    return last;
}

Result<PostgresDatabase::Rows> PostgresDatabase::ask(const std::string& text,
                                                     const std::vector<PgParameter>& parameters) {
    if (!open_) failure_.reset();
    if (const auto ahead = sent_ahead(text, parameters)) {
        if (!ahead->rows)
            if (auto done = check(); !done) return failed(done.error());
        if (!ahead->rows) return fail(Code::Internal, "database: no answer to what was asked");
        return std::move(ahead->rows);
    }
    if (!text.starts_with("SELECT")) ahead_.clear();  // it may change what was asked
    if (auto sent = send(text, parameters); !sent) return failed(sent.error());
    if (auto synced = sync(); !synced) return failed(synced.error());
    return read_all();
}

void PostgresDatabase::ask_ahead(const std::function<void()>& questions) {
    is_asking_ahead_ = open_.has_value();
    if (is_asking_ahead_) questions();
    is_asking_ahead_ = false;
}

void PostgresDatabase::send_ahead(const std::string& text, std::vector<PgParameter> parameters) {
    if (sent_.size() >= kSentAtOnce || !send(text, parameters)) return;  // then it is asked in turn
    ahead_.push_back(std::make_shared<Ahead>(Ahead{text, std::move(parameters)}));
    sent_.back().ahead = ahead_.back();
}

// Each answer is for one who asks.
std::shared_ptr<PostgresDatabase::Ahead> PostgresDatabase::sent_ahead(
    const std::string& text, const std::vector<PgParameter>& parameters) {
    const auto is_it = [&](const auto& ahead) {
        return ahead->text == text && ahead->parameters == parameters;
    };
    const auto found = std::find_if(ahead_.begin(), ahead_.end(), is_it);
    if (found == ahead_.end()) return nullptr;
    auto ahead = std::move(*found);
    ahead_.erase(found);
    return ahead;
}

Result<void> PostgresDatabase::tell(const std::string& text,
                                    const std::vector<PgParameter>& parameters) {
    assert(!is_asking_ahead_ && "what is asked ahead changes nothing");
    ahead_.clear();
    if (!open_ || sent_.size() >= kSentAtOnce) {
        if (auto done = ask(text, parameters); !done) return failed(done.error());
        return {};
    }
    return send(text, parameters);
}

int64_t PostgresDatabase::changes() {
    if (!sent_.empty() && sync()) (void)read_all();
    return changes_;
}

// A script has several statements, which only the simple protocol takes.
Result<void> PostgresDatabase::run_script(const std::string& script) {
    if (!sent_.empty() && sync()) (void)read_all();
    if (!open_) failure_.reset();
    if (auto good = outcome(); !good) return good;
    if (PQexitPipelineMode(conn_.get()) != 1) return fail(Code::Internal, "database: busy");
    const Rows done(PQexec(conn_.get(), script.c_str()));
    const auto status = PQresultStatus(done.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) keep_failure(done.get());
    renew_deadline();
    if (!is_broken_ && PQenterPipelineMode(conn_.get()) != 1)
        return fail(Code::Internal, "database: no pipeline mode");
    return outcome();
}

}  // namespace cvlan::store
