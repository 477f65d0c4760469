// SPDX-License-Identifier: Apache-2.0
// How fast the store gives addresses and writes the audit, each durable before it is answered:
//
//   bench_store --store sqlite|sqlite:FILE|postgres://… [--callers 200] [--seconds 2] [--runs 5]
//               [--json]
//
// `sqlite` is a new file in /var/tmp, which is on a disk.
//
// ip_alloc_per_s: `callers` threads, each asking for one address at a time in one network. At the
// end no address was given twice and all are in the database. audit_per_s: 8 threads, each writing
// 250 refusals at a time, as the API does; at the end the chain is whole.
//
// On PostgreSQL each run is followed by one of what the server does at best, plain_…: one thread
// that writes as many rows of the same form a transaction, of values that are made before, into a
// table without any tie to others. The ratio is ours to that, the median of the pairs'.
#include <CLI/CLI.hpp>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "store/postgres.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"
#include "tests/bench/samples.h"

namespace cvlan::store {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::string store;
    int callers = 200;
    double seconds = 2;
    int runs = 5;
    bool json = false;
};

[[noreturn]] void give_up(const std::string& why) {
    fmt::print(stderr, "bench_store: {}\n", why);
    std::exit(1);
}

template <class T>
T must(Result<T> result) {
    if (!result) give_up(result.error().message);
    return std::move(*result);
}

// How many times a second `work` is done by so many threads; it tells how many things it did.
double rate(int threads, double seconds, const std::function<int64_t(int)>& work) {
    std::atomic<int64_t> done = 0;
    std::atomic<bool> ends = false;
    std::vector<std::thread> running;
    const auto start = Clock::now();
    for (int i = 0; i < threads; ++i)
        running.emplace_back([&, i] {
            while (!ends) done += work(i);
        });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    ends = true;
    for (std::thread& thread : running) thread.join();
    return static_cast<double>(done) / std::chrono::duration<double>(Clock::now() - start).count();
}

// What the server does at best: PostgreSQL alone.
class Plain {
public:
    explicit Plain(const std::string& url) : db_(must(PostgresDatabase::open({url, {}}))) {
        must_do(db_->run_script(
            "DROP TABLE IF EXISTS plain_addresses, plain_audit;"
            "CREATE TABLE plain_addresses (LIKE reserved_addresses INCLUDING INDEXES);"
            "CREATE TABLE plain_audit (LIKE audit INCLUDING INDEXES)"));
    }
    Plain(const Plain&) = delete;
    Plain& operator=(const Plain&) = delete;
    ~Plain() { (void)db_->run_script("DROP TABLE plain_addresses, plain_audit"); }

    double addresses(size_t at_once, double seconds) {
        static const RowInsert insert("INSERT INTO plain_addresses", 5);
        return rows_a_second(insert, at_once, seconds, [&](Statement& row, int64_t i) {
            const auto address = Address::parse("10.0.0.0")->plus(i);
            row.bind(id_).bind(id_).bind(address).bind("bench-100").bind(1'700'000'000'000);
        });
    }
    double audit(size_t at_once, double seconds) {
        static const RowInsert insert("INSERT INTO plain_audit", 15);
        const std::string hash(64, 'a');
        return rows_a_second(insert, at_once, seconds, [&](Statement& row, int64_t i) {
            row.bind(id_).bind(i).bind(1'700'000'000'000).bind("user:" + id_).bind("192.0.2.1");
            row.bind("request").bind("POST /api/v1/tenants/{tenant}/networks").bind("").bind(id_);
            row.bind("PERMISSION_DENIED").bind(1).bind("").bind("").bind(hash).bind(hash);
        });
    }

private:
    static void must_do(const Result<void>& done) {
        if (!done) give_up(done.error().message);
    }
    double rows_a_second(const RowInsert& insert, size_t at_once, double seconds,
                         const std::function<void(Statement&, int64_t)>& bind) {
        const int64_t before = written_;
        const auto start = Clock::now();
        double took = 0;
        for (; took < seconds; written_ += static_cast<int64_t>(at_once)) {
            auto transaction = must(Transaction::begin(*db_));
            must_do(insert.run(*db_, at_once, [&](Statement& row, size_t i) {
                bind(row, written_ + static_cast<int64_t>(i));
            }));
            must_do(transaction.commit());
            took = std::chrono::duration<double>(Clock::now() - start).count();
        }
        return static_cast<double>(written_ - before) / took;
    }

    std::unique_ptr<PostgresDatabase> db_;
    const std::string id_ = new_uuid(1'700'000'000'000);
    int64_t written_ = 0;
};

class Bench {
public:
    Bench(SqlStore& store, const Options& options, Plain* plain)
        : store_(store), options_(options), plain_(plain) {
        tenant_ = new_uuid(unix_ms(clock_.now()));
        must(store_.create_tenant({tenant_, "bench-" + tenant_, {}}));
    }

    // In pairs; `plain` stays empty without a reference.
    struct Rates {
        bench::Samples ours{};
        bench::Samples plain{};
    };

    Rates allocations() {
        Rates rates;
        for (int run = 0; run < options_.runs; ++run) {
            const auto network = must(
                store_.create_network({tenant_,
                                       fmt::format("run-{}", run),
                                       Prefix::parse(fmt::format("10.{}.0.0/12", run * 16)).value(),
                                       {},
                                       false,
                                       1420}));
            rates.ours.push_back(allocate_in({network.tenant_id, network.id}));
            if (!plain_) continue;
            const auto at_once = static_cast<size_t>(options_.callers);
            rates.plain.push_back(plain_->addresses(at_once, options_.seconds));
        }
        return rates;
    }

    Rates audit() {
        constexpr int kThreads = 8;
        const std::vector<Refusal> refusals(
            250, Refusal{tenant_,
                         {"user:018f0000-0000-7000-8000-000000000000", "192.0.2.1", "request"},
                         "POST /api/v1/tenants/{tenant}/networks",
                         tenant_,
                         "PERMISSION_DENIED",
                         1,
                         clock_.now()});
        Rates rates;
        for (int run = 0; run < options_.runs; ++run) {
            rates.ours.push_back(rate(kThreads, options_.seconds, [&](int) {
                must_write(store_.record_refusals(refusals));
                return static_cast<int64_t>(refusals.size());
            }));
            if (!plain_) continue;
            rates.plain.push_back(plain_->audit(kThreads * refusals.size(), options_.seconds));
        }
        for (const AuditVerdict& verdict : must(store_.verify_audit({})))
            if (!verdict.fault.empty()) give_up("the audit: " + verdict.fault);
        return rates;
    }

private:
    static void must_write(const Result<void>& done) {
        if (!done) give_up(done.error().message);
    }

    double allocate_in(const Key& network) {
        std::vector<std::vector<Address>> given(static_cast<size_t>(options_.callers));
        const double per_second = rate(options_.callers, options_.seconds, [&](int caller) {
            given[static_cast<size_t>(caller)].push_back(must(
                store_.addresses().reserve(network, Family::V4, fmt::format("bench-{}", caller))));
            return 1;
        });
        std::set<Address> all;
        size_t count = 0;
        for (const auto& addresses : given) {
            count += addresses.size();
            all.insert(addresses.begin(), addresses.end());
        }
        if (all.size() != count) give_up("an address was given twice");
        if (must(store_.addresses().reserved(network)) != static_cast<int64_t>(count))
            give_up("an address that was given is not in the database");
        return per_second;
    }

    SqlStore& store_;
    const Options& options_;
    Plain* plain_;
    SystemClock clock_;
    std::string tenant_;
};

std::string figure(const std::string& name, const bench::Samples& samples) {
    return fmt::format(
        R"("{}": {{"n": {}, "median": {:.0f}, "p10": {:.0f}, "p90": {:.0f}, "raw": {}}})", name,
        samples.size(), bench::median(samples), bench::quantile(samples, 0.1),
        bench::quantile(samples, 0.9), bench::json_array(samples));
}

// A folder of this run's own, gone with it.
struct Folder {
    std::string path = "/var/tmp/cvlan-bench-XXXXXX";
    Folder() {
        if (!::mkdtemp(path.data())) give_up("no folder in /var/tmp");
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
};

void print(const Options& options, bool is_postgres,
           const std::vector<std::pair<std::string, Bench::Rates>>& all) {
    std::string json = fmt::format(R"({{"store": "{}", "callers": {})",
                                   is_postgres ? "postgres" : "sqlite", options.callers);
    for (const auto& [name, rates] : all) {
        const bench::Pairs pairs{name, 0, rates.ours, rates.plain};
        json += ", " + figure(name, rates.ours);
        if (is_postgres)
            json += fmt::format(R"(, {}, "{}_to_plain": {:.3f})",
                                figure("plain_" + name, rates.plain), name, pairs.ratio());
        if (options.json) continue;
        fmt::print("{:<20} {}\n", name, bench::summary(rates.ours));
        if (is_postgres)
            fmt::print("{:<20} {}, ratio {}\n", "plain_" + name, bench::summary(rates.plain),
                       bench::summary(pairs.ratios()));
    }
    if (options.json) fmt::print("{}}}\n", json);
}

int run(const Options& options) {
    const SystemClock clock;
    const Folder folder;
    const bool is_postgres = options.store.starts_with("postgres");
    const std::string file =
        options.store.starts_with("sqlite:") ? options.store.substr(7) : folder.path + "/bench.db";
    const auto store = must(is_postgres ? open_postgres({options.store, {}}, clock, Create::Yes)
                                        : open_sqlite(file, clock, Create::Yes));
    const auto plain = is_postgres ? std::make_unique<Plain>(options.store) : nullptr;
    Bench bench(dynamic_cast<SqlStore&>(*store), options, plain.get());
    print(options, is_postgres,
          {{"ip_alloc_per_s", bench.allocations()}, {"audit_per_s", bench.audit()}});
    return 0;
}

}  // namespace
}  // namespace cvlan::store

int main(int argc, char** argv) {
    cvlan::store::Options options;
    CLI::App app("addresses and audit entries a second");
    app.add_option("--store", options.store, "sqlite, sqlite:FILE or postgres://…")->required();
    app.add_option("--callers", options.callers)->check(CLI::Range(1, 10000));
    app.add_option("--seconds", options.seconds)->check(CLI::Range(0.1, 600.0));
    app.add_option("--runs", options.runs)->check(CLI::Range(1, 15));
    app.add_flag("--json", options.json);
    CLI11_PARSE(app, argc, argv);
    return cvlan::store::run(options);
}
