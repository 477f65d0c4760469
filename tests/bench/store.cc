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
#include <CLI/CLI.hpp>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <set>
#include <thread>

#include "base/bytes.h"
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

class Bench {
public:
    Bench(SqlStore& store, const Options& options) : store_(store), options_(options) {
        tenant_ = new_uuid(unix_ms(clock_.now()));
        must(store_.create_tenant({tenant_, "bench-" + tenant_, {}}));
    }

    bench::Samples allocations() {
        bench::Samples samples;
        for (int run = 0; run < options_.runs; ++run) {
            const auto network = must(
                store_.create_network({tenant_,
                                       fmt::format("run-{}", run),
                                       Prefix::parse(fmt::format("10.{}.0.0/12", run * 16)).value(),
                                       {},
                                       false,
                                       1420}));
            samples.push_back(allocate_in({network.tenant_id, network.id}));
        }
        return samples;
    }

    bench::Samples audit() {
        constexpr int kThreads = 8;
        const std::vector<Refusal> refusals(
            250, Refusal{tenant_,
                         {"user:018f0000-0000-7000-8000-000000000000", "192.0.2.1", "request"},
                         "POST /api/v1/tenants/{tenant}/networks",
                         tenant_,
                         "PERMISSION_DENIED",
                         1,
                         clock_.now()});
        bench::Samples samples;
        for (int run = 0; run < options_.runs; ++run)
            samples.push_back(rate(kThreads, options_.seconds, [&](int) {
                must_write(store_.record_refusals(refusals));
                return static_cast<int64_t>(refusals.size());
            }));
        for (const AuditVerdict& verdict : must(store_.verify_audit({})))
            if (!verdict.fault.empty()) give_up("the audit: " + verdict.fault);
        return samples;
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
    SystemClock clock_;
    std::string tenant_;
};

std::string figure(const char* name, const bench::Samples& samples) {
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

int run(const Options& options) {
    const SystemClock clock;
    const Folder folder;
    const bool is_postgres = options.store.starts_with("postgres");
    const std::string file =
        options.store.starts_with("sqlite:") ? options.store.substr(7) : folder.path + "/bench.db";
    const auto store = must(is_postgres ? open_postgres({options.store, {}}, clock, Create::Yes)
                                        : open_sqlite(file, clock, Create::Yes));
    Bench bench(dynamic_cast<SqlStore&>(*store), options);
    const auto allocations = bench.allocations();
    const auto audit = bench.audit();
    if (options.json) {
        fmt::print("{{\"store\": \"{}\", \"callers\": {}, {}, {}}}\n",
                   is_postgres ? "postgres" : "sqlite", options.callers,
                   figure("ip_alloc_per_s", allocations), figure("audit_per_s", audit));
        return 0;
    }
    fmt::print("ip_alloc_per_s {}\naudit_per_s    {}\n", bench::summary(allocations),
               bench::summary(audit));
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
