// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/job_runner.h"

#include <gtest/gtest.h>

#include "daemons/controller/jobs.h"
#include "store/jobs.h"
#include "store/sql_store.h"
#include "tests/support/temp_dir.h"

namespace cvlan::controller {
namespace {

using namespace std::chrono_literals;

struct JobRunnerTest : testing::Test {
    test::TempDir folder;
    ManualClock clock{from_unix_ms(1'800'000'000'000)};
    EventLoop loop;
    std::unique_ptr<store::Store> store =
        *store::open_sqlite(folder.file("db"), clock, store::Create::Yes);
    std::vector<std::string> done;  // the steps, by their controller

    struct Steps final : JobRun {
        Steps(JobRunnerTest& test, std::string who) : test_(test), who_(std::move(who)) {}
        Result<std::optional<std::string>> step(store::Store& store) override {
            if (test_.before_step) test_.before_step();
            const auto made =
                store.create_tenant({new_uuid(1), fmt::format("t{}", test_.made), {}});
            if (!made) return failed(made.error());
            ++test_.made;
            test_.done.push_back(who_);
            if (++steps_ < 3) return std::nullopt;
            return std::optional<std::string>("three steps");
        }
        JobRunnerTest& test_;
        std::string who_;
        int steps_ = 0;
    };
    int made = 0;
    std::function<void()> before_step;

    JobRunner runner(const std::string& who) {
        return JobRunner(
            {loop, *store, clock, who, 1ms, 0ms},
            {{"sweep", 1h, [this, who] { return std::make_unique<Steps>(*this, who); }}});
    }
    store::Job job() { return store->jobs().list({})->items.front(); }
    // All that the controller has, once.
    void run_all_jobs() {
        JobRunner a({loop, *store, clock, "a", 1ms, 0ms}, job_kinds({}, clock));
        ASSERT_TRUE(a.start());
        run_until([&] {
            const auto jobs = store->jobs().list({})->items;
            return std::all_of(jobs.begin(), jobs.end(), [&](const auto& job) {
                if (job.name == "node-lifetimes") return true;  // there are none
                return job.finished_at && job.next_run_at > clock.now();
            });
        });
    }
    void run_until(const std::function<bool()>& is_so) {
        for (int turns = 0; !is_so() && turns < 10'000; ++turns) loop.run_once(10ms);
        EXPECT_TRUE(is_so());
    }
};

TEST_F(JobRunnerTest, TwoControllersShareTheWorkWithoutDoubles) {
    JobRunner a = runner("a");
    JobRunner b = runner("b");
    ASSERT_TRUE(a.start());
    ASSERT_TRUE(b.start());
    run_until([&] { return job().finished_at.has_value(); });
    EXPECT_EQ(done, std::vector<std::string>(3, done.front()));
    EXPECT_EQ(job().result, "three steps");
    EXPECT_EQ(job().next_run_at, clock.now() + 1h);
    clock.advance(1h);
    run_until([&] { return done.size() == 6; });
    EXPECT_EQ(made, 6);
}

// One stands still between two steps for longer than its lease; the other takes the job over.
TEST_F(JobRunnerTest, WhoWasStoppedForTooLongWritesNothingMore) {
    JobRunner a = runner("a");
    JobRunner b = runner("b");
    ASSERT_TRUE(a.start());
    bool has_stood = false;
    before_step = [&] {
        if (done.size() != 1 || std::exchange(has_stood, true)) return;
        clock.advance(store::Jobs::kLease + 1s);
        b.look();
    };
    run_until([&] { return job().finished_at.has_value(); });
    EXPECT_EQ(done, (std::vector<std::string>{"a", "b", "b", "b"}));
    const auto figures = a.figures().front();
    EXPECT_EQ(figures.failed, 1u);
    EXPECT_EQ(figures.succeeded, 0u);
    EXPECT_EQ(b.figures().front().succeeded, 1u);
}

TEST_F(JobRunnerTest, WhatFailsIsTriedAgainAndSaysWhy) {
    JobRunner a({loop, *store, clock, "a", 1ms, 0ms},
                {{"sweep", 24h, [] {
                      struct Fails final : JobRun {
                          Result<std::optional<std::string>> step(store::Store&) override {
                              return fail(Code::Unavailable, "no room");
                          }
                      };
                      return std::make_unique<Fails>();
                  }}});
    ASSERT_TRUE(a.start());
    run_until([&] { return job().finished_at.has_value(); });
    EXPECT_FALSE(job().has_succeeded);
    EXPECT_EQ(job().result, "no room");
    EXPECT_EQ(job().next_run_at, clock.now() + 60s);
}

TEST_F(JobRunnerTest, RetentionTakesWhatIsOldOfEveryChain) {
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(store->create_tenant({new_uuid(i), fmt::format("t{}", i), {}}));
    clock.advance(24h * 91);
    run_all_jobs();
    const auto jobs = store->jobs().list({});
    ASSERT_TRUE(jobs) << jobs.error().message;
    for (const auto& job : jobs->items) EXPECT_TRUE(job.has_succeeded) << job.result;
    const auto verdicts = store->verify_audit({});
    ASSERT_TRUE(verdicts) << verdicts.error().message;
    for (const auto& verdict : *verdicts) {
        EXPECT_EQ(verdict.fault, "");
        EXPECT_EQ(verdict.entries, 1);  // the one that says so
    }
    EXPECT_TRUE(store->events_since(store->tenants({})->items.at(0).id, 0, 10)->empty());
}

// A month before, and louder three days before; and of nodes that have not renewed theirs.
TEST_F(JobRunnerTest, ACertificateThatEndsSoonIsWarnedOfEachDay) {
    const WallTime start = clock.now();
    const auto tenant = store->create_tenant({new_uuid(1), "acme", {}})->id;
    const auto lan = *store->create_network({tenant, "lan", *Prefix::parse("10.1.0.0/24"), {}});
    model::TokenClaims claims;
    claims.id = new_uuid(2);
    claims.tenant_id = tenant;
    claims.network_id = lan.id;
    claims.expires_at = start + 1h;
    claims.nonce = random_bytes(32);
    ASSERT_TRUE(store->create_token(claims, {}));
    store::Enrolment request;
    request.joining = {claims, base64(random_bytes(32)), 51820, {}};
    request.tls_key_hash = hex(random_bytes(32));
    ASSERT_TRUE(store->enrol(request, [&](const auto&) -> Result<store::CertificateRow> {
        return store::CertificateRow{"aa", start + 24h * 30};
    }));
    JobSettings settings;
    settings.certificates = [&] {
        return std::vector<api::CertificateFigures>{{"root", start + 24h * 3650},
                                                    {"intermediate", start + 24h * 40}};
    };
    JobRunner a({loop, *store, clock, "a", 1ms, 0ms}, job_kinds(settings, clock));
    ASSERT_TRUE(a.start());
    const auto watch = [&] {
        const auto jobs = store->jobs().list({})->items;
        for (const auto& job : jobs)
            if (job.name == "certificate-watch") return job;
        return store::Job{};
    };
    const auto log_of_day = [&](int day) {
        clock.advance(start + 24h * day - clock.now());
        testing::internal::CaptureStderr();
        run_until([&] { return watch().finished_at && watch().next_run_at > clock.now(); });
        EXPECT_TRUE(watch().has_succeeded) << watch().result;
        return testing::internal::GetCapturedStderr();
    };
    const auto has = [](const std::string& log, const std::string& text) {
        return log.find(text) != std::string::npos;
    };
    EXPECT_FALSE(has(log_of_day(0), "certificate"));
    EXPECT_FALSE(has(log_of_day(9), "certificate"));
    for (const int day : {10, 11, 36}) {
        const std::string log = log_of_day(day);
        EXPECT_TRUE(has(log, "level=warn event=jobs.certificate_ends certificate=intermediate"))
            << log;
        EXPECT_TRUE(has(log, fmt::format("days={}", 40 - day))) << log;
        EXPECT_FALSE(has(log, "certificate=root")) << log;
        EXPECT_EQ(has(log, "event=jobs.node_certificates_end nodes=1"), day == 36) << log;
    }
    EXPECT_TRUE(has(log_of_day(37), "level=error event=jobs.certificate_ends"));
}

TEST_F(JobRunnerTest, EachTenantsAuditIsKeptAsLongAsItsSettingsSay) {
    const auto tenant_that_keeps = [&](int64_t days) {
        const auto id = store->create_tenant({new_uuid(days), fmt::format("t{}", days), {}})->id;
        model::Settings settings;
        settings.tenant_id = id;
        settings.audit_retention_days = days;
        EXPECT_TRUE(store->policies().set_settings(settings));
        return id;
    };
    const auto longer = tenant_that_keeps(365);
    const auto shorter = tenant_that_keeps(30);
    const auto actions = [&](const std::string& tenant) {
        std::vector<std::string> found;
        const auto page = *store->audit({.tenant_id = tenant});
        found.reserve(page.items.size());
        for (const auto& entry : page.items) found.push_back(entry.action);
        return found;
    };
    const auto before = actions(longer);
    clock.advance(24h * 31);
    run_all_jobs();
    EXPECT_EQ(actions(shorter).size(), 1u) << "the one that says so";
    clock.advance(24h * 60);
    run_all_jobs();
    EXPECT_EQ(actions(longer), before);
}

// Two controllers look at one database; the node ends once, and neither writes before.
TEST_F(JobRunnerTest, ANodeWhoseTimeIsOverEndsOnceOfTwoControllers) {
    const auto tenant = store->create_tenant({new_uuid(1), "acme", {}})->id;
    store::NewNetwork network{tenant, "lan", *Prefix::parse("10.1.0.0/24"), {}};
    const auto lan = store->create_network(network)->id;
    const auto key = base64(Bytes(32, 7));
    const auto node = *store->create_external({tenant, "phone", lan, key});
    ASSERT_TRUE(store->update_node({tenant, node.id}, {.key_expires_at = clock.now() + 1h}));
    JobRunner a({loop, *store, clock, "a", 1ms, 0ms}, job_kinds({}, clock));
    JobRunner b({loop, *store, clock, "b", 1ms, 0ms}, job_kinds({}, clock));
    ASSERT_TRUE(a.start());
    ASSERT_TRUE(b.start());
    const auto lifetimes = [&] {
        const auto jobs = store->jobs().list({})->items;
        for (const auto& job : jobs)
            if (job.name == "node-lifetimes") return job;
        return store::Job{};
    };
    run_until([&] {
        const auto jobs = store->jobs().list({})->items;
        return std::count_if(jobs.begin(), jobs.end(), [](const auto& job) {
                   return job.finished_at.has_value();
               }) == static_cast<std::ptrdiff_t>(jobs.size()) - 1;
    });
    EXPECT_FALSE(lifetimes().started_at);
    EXPECT_EQ(store->node(tenant, node.id)->state, model::NodeState::Active);
    clock.advance(1h);
    run_until([&] { return lifetimes().finished_at.has_value(); });
    EXPECT_EQ(lifetimes().result, "0 deleted, 1 expired");
    EXPECT_EQ(store->node(tenant, node.id)->state, model::NodeState::Expired);
    const auto ended = store->audit({.tenant_id = tenant, .actor = "job:node-lifetimes"});
    EXPECT_EQ(ended->items.size(), 1u);
}

}  // namespace
}  // namespace cvlan::controller
