// SPDX-License-Identifier: Apache-2.0
// Sessions, access tokens, and the counting of logins that fail.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::Account;
using model::AccountKind;
using model::TenantRole;

struct LoginsTest : StoreTest {
    std::string acme_ = tenant("acme");
    Account anna_ = working("anna@example.org", TenantRole::Member);

    Accounts accounts() { return store_->accounts(); }
    static Key key(const Account& account) { return {account.tenant_id, account.id}; }
    Account working(const std::string& email, TenantRole role) {
        auto made = accounts().create(
            {}, {acme_, AccountKind::User, email, role, Link{"link", in(std::chrono::hours(1))}});
        EXPECT_TRUE(made) << made.error().message;
        return *accounts().accept("link", "h");
    }
    WallTime in(std::chrono::seconds time) { return clock_.now() + time; }
    std::string reason(const auto& result) { return result ? "" : result.error().reason; }
    Result<Credential> session(const std::string& hash, const std::string& password_hash = "h") {
        return accounts().start_session(
            {key(anna_), password_hash, hash, in(std::chrono::hours(12))}, "anna");
    }
    Result<model::AccessToken> access_token(const Granter& by, const Account& of,
                                            const std::string& hash) {
        return accounts().create_token(
            by, {key(of), "ci", "cvlan_pat_ab", hash, in(std::chrono::hours(1))});
    }
};

TEST_F(LoginsTest, FindWhoMayLogIn) {
    EXPECT_EQ((*accounts().login("acme", "anna@example.org"))->account.id, anna_.id);
    EXPECT_FALSE(*accounts().login("other", "anna@example.org"));
    EXPECT_FALSE(*accounts().login({}, "anna@example.org"));
    EXPECT_FALSE(*accounts().login("", "anna@example.org"));
    ASSERT_TRUE(accounts().change({}, key(anna_), {{}, true}));
    EXPECT_FALSE(*accounts().login("acme", "anna@example.org"));
}

TEST_F(LoginsTest, APasswordIsChangedFromTheOneThatWasChecked) {
    const auto kept = session("s1"), other = session("s2");
    ASSERT_TRUE(kept && other);
    ASSERT_TRUE(accounts().note_failure({{"change"}, in(std::chrono::hours(1))}));
    EXPECT_EQ(accounts().login_of(key(anna_))->password_hash, "h");
    EXPECT_EQ(reason(accounts().change_password({key(anna_), "of before", "new", kept->id}, "")),
              "LOGIN_REFUSED");
    EXPECT_TRUE(accounts().by_session("s2")) << "nothing was changed";
    ASSERT_TRUE(accounts().change_password({key(anna_), "h", "new", kept->id}, "change"));
    EXPECT_TRUE(accounts().by_session("s1"));
    EXPECT_FALSE(accounts().by_session("s2"));
    EXPECT_EQ(accounts().login_of(key(anna_))->password_hash, "new");
    EXPECT_EQ(*accounts().failures("change"), 0);
    EXPECT_EQ(reason(session("s3")), "LOGIN_REFUSED") << "with the password of before";
}

TEST_F(LoginsTest, ALinkOfASuspendedTenantIsGoodAgainWhenItIsResumed) {
    ASSERT_TRUE(accounts().invite({}, key(anna_), {"reset", in(std::chrono::hours(1))}));
    ASSERT_TRUE(store_->update_tenant(acme_, {.suspended = true}));
    EXPECT_EQ(reason(accounts().link("reset")), kTenantSuspended);
    EXPECT_EQ(reason(accounts().accept("reset", "new")), kTenantSuspended);
    EXPECT_EQ(accounts().login_of(key(anna_))->password_hash, "h");
    ASSERT_TRUE(store_->update_tenant(acme_, {.suspended = false}));
    EXPECT_EQ(accounts().link("reset")->id, anna_.id);
    EXPECT_TRUE(accounts().accept("reset", "new"));
}

TEST_F(LoginsTest, ASessionEndsWithItsAccountsStanding) {
    auto started = session("s1");
    ASSERT_TRUE(started) << started.error().message;
    EXPECT_EQ(accounts().by_session("s1")->account.id, anna_.id);
    EXPECT_EQ(accounts().get({}, anna_.id)->last_login_at, clock_.now());
    EXPECT_FAILS(accounts().by_token("s1"), Code::NotFound, "unknown");
    ASSERT_TRUE(accounts().end_session(key(anna_), started->id));
    EXPECT_FAILS(accounts().by_session("s1"), Code::NotFound, "unknown");

    ASSERT_TRUE(session("s2"));
    ASSERT_TRUE(accounts().change({}, key(anna_), {{}, true}));
    EXPECT_FAILS(accounts().by_session("s2"), Code::NotFound, "unknown");
    EXPECT_EQ(reason(session("s3")), "LOGIN_REFUSED");
    ASSERT_TRUE(accounts().change({}, key(anna_), {{}, false}));

    // A new password ends what the old one opened, and one that was being checked opens nothing.
    ASSERT_TRUE(session("s4"));
    ASSERT_TRUE(accounts().invite({}, key(anna_), {"reset", in(std::chrono::hours(1))}));
    ASSERT_TRUE(accounts().accept("reset", "h2"));
    EXPECT_FAILS(accounts().by_session("s4"), Code::NotFound, "unknown");
    EXPECT_EQ(reason(session("s5", "h")), "LOGIN_REFUSED");
}

TEST_F(LoginsTest, LoginsStandInTheAuditAndMoveNoRevision) {
    const auto revision = store_->tenant(acme_)->revision;
    events_.clear();
    auto started = session("s");
    ASSERT_TRUE(accounts().end_session(key(anna_), started->id));
    EXPECT_EQ(store_->tenant(acme_)->revision, revision);
    EXPECT_TRUE(events_.empty());
    const auto all = store_->audit({.tenant_id = acme_, .page_size = 1000})->items;
    EXPECT_EQ(all[all.size() - 2].action, "SESSION_STARTED");
    EXPECT_EQ(all.back().action, "SESSION_ENDED");
    EXPECT_EQ(all.back().object_id, anna_.id);
}

TEST_F(LoginsTest, FailuresAreCountedByWhoAndWhereUntilTheyAreForgotten) {
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(accounts().note_failure({{"anna", "192.0.2.1"}, in(std::chrono::minutes(15))}));
    ASSERT_TRUE(accounts().note_failure({{"nobody", "192.0.2.1"}, in(std::chrono::minutes(15))}));
    EXPECT_EQ(accounts().failures("anna"), 3);
    EXPECT_EQ(accounts().failures("nobody"), 1);
    EXPECT_EQ(accounts().failures("192.0.2.1"), 4);
    ASSERT_TRUE(session("s"));  // counts as "anna"
    EXPECT_EQ(accounts().failures("anna"), 0);
    EXPECT_EQ(accounts().failures("192.0.2.1"), 4);
    clock_.advance(std::chrono::minutes(15));
    EXPECT_EQ(accounts().failures("192.0.2.1"), 0);
}

// They are taken away a few at a time, and one that is still there counts no more.
TEST_F(LoginsTest, AFailureThatIsForgottenCountsForNothingWhileItsRowIsThere) {
    for (int i = 0; i < 150; ++i)
        ASSERT_TRUE(accounts().note_failure(
            {{fmt::format("s{}", i)}, clock_.now() + std::chrono::milliseconds(1000 + i)}));
    clock_.advance(std::chrono::seconds(2));
    ASSERT_TRUE(accounts().note_failure({{"s149"}, in(std::chrono::minutes(15))}));
    EXPECT_EQ(accounts().failures("s149"), 1);
}

TEST_F(LoginsTest, AUsersTokensAreMadeByThatUserAlone) {
    const Account owner = working("owner@example.org", TenantRole::Owner);
    const auto made = access_token(key(anna_), anna_, "t1");
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(accounts().by_token("t1")->account.id, anna_.id);
    EXPECT_FAILS(accounts().by_session("t1"), Code::NotFound, "unknown");
    EXPECT_EQ(reason(access_token(key(owner), anna_, "t2")), "NOT_OWN");
    EXPECT_EQ(reason(access_token({}, anna_, "t3")), "NOT_OWN");
    EXPECT_EQ(reason(access_token(key(anna_), owner, "t4")), "ROLE_TOO_LOW");
    // Taken away by itself, or by who stands above.
    const Key token{acme_, made->id};
    const Account other = working("other@example.org", TenantRole::Member);
    EXPECT_EQ(reason(accounts().remove_token(key(other), token)), "ROLE_TOO_LOW");
    ASSERT_TRUE(accounts().remove_token(key(anna_), token));
    EXPECT_FAILS(accounts().by_token("t1"), Code::NotFound, "unknown");
    ASSERT_TRUE(access_token(key(anna_), anna_, "t5"));
    EXPECT_TRUE(accounts().remove_token(key(owner), {acme_, accounts().by_token("t5")->id}));
}

TEST_F(LoginsTest, AServiceAccountsTokensAreMadeByWhoStandsNotBelowIt) {
    const Account owner = working("owner@example.org", TenantRole::Owner);
    const Account admin = working("admin@example.org", TenantRole::Admin);
    const auto robot =
        accounts().create({}, {acme_, AccountKind::Service, "robot", TenantRole::Owner});
    ASSERT_TRUE(robot);
    EXPECT_EQ(reason(access_token(key(admin), *robot, "t1")), "ABOVE_OWN_ROLE");
    EXPECT_TRUE(access_token(key(owner), *robot, "t2"));
    EXPECT_FAILS(accounts().invite({}, key(*robot), {"x", in(std::chrono::hours(1))}),
                 Code::Invalid, "no password");
    Filter filter;
    filter.tenant = acme_;
    EXPECT_EQ(accounts().tokens(filter, robot->id)->items.size(), 1U);
    EXPECT_TRUE(accounts().tokens(filter, anna_.id)->items.empty());
    ASSERT_TRUE(accounts().remove({}, key(*robot)));
    EXPECT_FAILS(accounts().by_token("t2"), Code::NotFound, "unknown");
}

TEST_F(LoginsTest, RememberWhenSomethingWasUsed) {
    const auto started = session("s");
    const auto made = access_token(key(anna_), anna_, "t");
    EXPECT_FALSE(accounts().by_token("t")->last_used_at);
    clock_.advance(std::chrono::minutes(5));
    ASSERT_TRUE(accounts().set_used(
        {{{acme_, started->id}, true, clock_.now()}, {{acme_, made->id}, false, clock_.now()}}));
    EXPECT_EQ(accounts().by_session("s")->last_used_at, clock_.now());
    EXPECT_EQ(accounts().by_token("t")->last_used_at, clock_.now());
}

}  // namespace
}  // namespace cvlan::store
