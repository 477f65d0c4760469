// SPDX-License-Identifier: Apache-2.0
// login and what follows from it: contexts, and the token that is shown to their server alone.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/cli.h"
#include "cli/context.h"
#include "tests/support/fake_api.h"
#include "tests/support/temp_dir.h"

namespace cvlan::cli {
namespace {

constexpr const char* kId = "0193a1b2-0000-7000-8000-000000000001";
constexpr const char* kTime = "2026-11-20T10:00:00.000Z";

std::string account(const std::string& name = "anna@example.org") {
    return fmt::format(
        R"({{"id":"{}","tenantId":"{}","kind":"USER","name":"{}","role":"ADMIN","disabled":false,)"
        R"("hasPassword":true,"createdAt":"{}"}})",
        kId, kId, name, kTime);
}
std::string created_token() {
    return fmt::format(
        R"({{"token":"cvlan_pat_secret","record":{{"id":"{}","accountId":"{}","name":"n",)"
        R"("prefix":"cvlan_pat_secr","createdAt":"{}","expiresAt":"{}"}}}})",
        kId, kId, kTime, kTime);
}

std::string certificate() {
    return fmt::format(
        R"({{"certificate":"PEM\n","record":{{"id":"{}","accountId":"{}",)"
        R"("name":"laptop","prefix":"x509:ab","createdAt":"{}","expiresAt":"{}"}}}})",
        kId, kId, kTime, kTime);
}

struct Ran {
    int code;
    std::string out, err;
};

class AccountCli : public testing::Test {
protected:
    AccountCli() {
        setenv("XDG_CONFIG_HOME", dir_.path().c_str(), 1);
        api_.reply(
            "POST", "/api/v1/auth/login", 201,
            fmt::format(R"({{"account":{},"csrfToken":"c","expiresAt":"{}"}})", account(), kTime));
        api_.reply("POST", "/api/v1/access-tokens", 201, created_token());
        api_.reply("POST", "/api/v1/auth/logout", 204, "");
        api_.reply(
            "GET", "/api/v1/auth/me", 200,
            fmt::format(R"({{"actor":"user:{}","tenantId":"{}","role":"ADMIN","account":{}}})", kId,
                        kId, account()));
        api_.reply("POST", "/api/v1/auth/links", 200, account());
        api_.reply("POST", "/api/v1/auth/password", 204, "");
        api_.reply("POST", "/api/v1/users", 201,
                   fmt::format(R"({{"user":{},"invitation":{{"link":"https://c:8443/accept#s",)"
                               R"("expiresAt":"{}"}}}})",
                               account("b@example.org"), kTime));
        api_.reply("DELETE", "/api/v1/access-tokens/.*", 204, "");
        api_.reply("POST", "/api/v1/certificates", 201, certificate());
        api_.start();
    }
    ~AccountCli() override { unsetenv("XDG_CONFIG_HOME"); }

    Ran run_it(const std::vector<std::string>& words, const std::string& typed = "",
               bool is_terminal = false) {
        std::ostringstream out, err;
        std::istringstream in(typed);
        const ManualClock clock(*from_rfc3339("2026-11-20T10:01:00.000Z"));
        Io io{out, err, in, clock, is_terminal};
        const int code = run(words, io);
        return {code, out.str(), err.str()};
    }
    Ran log_in() {
        return run_it({"login", "--server", "unix:" + api_.path(), "--tenant", "acme"},
                      "anna@example.org\npassword\n");
    }

    test::TempDir dir_;
    test::FakeApi api_;
};

TEST_F(AccountCli, ALoginIsKeptInAContextThatItsOwnerAloneCanRead) {
    const Ran ran = log_in();
    ASSERT_EQ(ran.code, kOk) << ran.err;
    EXPECT_NE(ran.err.find("context default"), std::string::npos) << ran.err;
    EXPECT_EQ((ran.out + ran.err).find("secret"), std::string::npos);
    EXPECT_EQ(api_.bodies().front(),
              R"({"tenant":"acme","email":"anna@example.org","password":"password"})");
    struct stat found {};
    ASSERT_EQ(stat(dir_.file("cvlan/contexts/default").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600U);
    EXPECT_EQ(current_context(), "default");
    const Ran who = run_it({"whoami"});
    EXPECT_EQ(who.code, kOk) << who.err;
    EXPECT_NE(who.out.find("anna@example.org"), std::string::npos);
    EXPECT_EQ(api_.authorizations().back(), "Bearer cvlan_pat_secret");
}

TEST_F(AccountCli, AContextsTokenGoesToItsOwnServerAlone) {
    ASSERT_EQ(log_in().code, kOk);
    ASSERT_EQ(run_it({"whoami", "--server", "unix:" + api_.path()}).code, kOk);
    EXPECT_EQ(api_.authorizations().back(), "");
}

TEST_F(AccountCli, AContextIsEndedAndForgotten) {
    ASSERT_EQ(log_in().code, kOk);
    EXPECT_NE(run_it({"context", "list"}).out.find("default  *"), std::string::npos);
    ASSERT_EQ(run_it({"context", "delete", "default"}).code, kOk);
    EXPECT_EQ(api_.seen().back(), "POST /api/v1/auth/logout");
    EXPECT_EQ(api_.authorizations().back(), "Bearer cvlan_pat_secret");
    EXPECT_EQ(current_context(), "");
    EXPECT_FALSE(load_context("default"));
    EXPECT_EQ(run_it({"--context", "default", "whoami"}).code, kNotFound);
    EXPECT_EQ(run_it({"--context", "../x", "whoami"}).code, kFailed) << "no name becomes a path";
}

TEST_F(AccountCli, AContextEndsItsOwnTokenAndNoOther) {
    ASSERT_EQ(log_in().code, kOk);
    const std::string file = dir_.file("token");
    std::ofstream(file) << "cvlan_sa_other\n";
    chmod(file.c_str(), 0600);
    setenv("CVLAN_ACCESS_TOKEN_FILE", file.c_str(), 1);
    const Ran ran = run_it({"--access-token-file", file, "context", "delete", "default"});
    unsetenv("CVLAN_ACCESS_TOKEN_FILE");
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(api_.seen().back(), "POST /api/v1/auth/logout");
    EXPECT_EQ(api_.authorizations().back(), "Bearer cvlan_pat_secret");
    EXPECT_FALSE(load_context("default"));
}

TEST_F(AccountCli, AContextIsForgottenWhereItsControllerCanNotBeReached) {
    for (const std::string& server : {"unix:" + dir_.file("gone.sock"), std::string("no URL")}) {
        ASSERT_TRUE(save_context({"old", server, "", SecretText("cvlan_pat_old")}));
        const Ran ran = run_it({"context", "delete", "old"});
        EXPECT_EQ(ran.code, kOk) << ran.err;
        EXPECT_NE(ran.err.find("good until it expires"), std::string::npos) << ran.err;
        EXPECT_EQ(ran.err.find("cvlan_pat_old"), std::string::npos);
        EXPECT_FALSE(load_context("old"));
    }
}

TEST_F(AccountCli, ASecondLoginEndsTheFirstOnesTokenOnceItsOwnIsKept) {
    ASSERT_TRUE(
        save_context({"default", "unix:" + api_.path(), "", SecretText("cvlan_pat_first")}));
    ASSERT_EQ(log_in().code, kOk);
    EXPECT_EQ(api_.seen().back(), "POST /api/v1/auth/logout");
    EXPECT_EQ(api_.authorizations().back(), "Bearer cvlan_pat_first");
    EXPECT_EQ(load_context("default")->token.reveal(), "cvlan_pat_secret");
    ASSERT_TRUE(save_context(
        {"default", "unix:" + dir_.file("gone.sock"), "", SecretText("cvlan_pat_first")}));
    EXPECT_EQ(log_in().code, kOk) << "the former controller is gone, and this one is not";
}

TEST_F(AccountCli, ALoginKeepsWhereItsRootIsForCallsFromOtherFolders) {
    const Ran ran = run_it({"login", "--server", "unix:" + api_.path(), "--ca", "root.pem"},
                           "anna@example.org\npassword\n");
    ASSERT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(load_context("default")->ca, std::filesystem::current_path().string() + "/root.pem");
}

TEST_F(AccountCli, AnAccessTokenComesFromAFileThatNobodyElseReads) {
    const std::string file = dir_.file("token");
    std::ofstream(file) << "cvlan_sa_secret\n";
    chmod(file.c_str(), 0644);
    const std::vector<std::string> words{"--server", "unix:" + api_.path(), "--access-token-file",
                                         file, "whoami"};
    EXPECT_NE(run_it(words).code, kOk);
    chmod(file.c_str(), 0600);
    EXPECT_EQ(run_it(words).code, kOk);
    EXPECT_EQ(api_.authorizations().back(), "Bearer cvlan_sa_secret");
}

TEST_F(AccountCli, AnInvitationPrintsItsLink) {
    ASSERT_EQ(log_in().code, kOk);
    const Ran ran = run_it({"user", "create", "b@example.org", "--role", "auditor"});
    EXPECT_EQ(ran.out, "https://c:8443/accept#s\n");
    EXPECT_EQ(api_.bodies().back(),
              fmt::format(R"({{"tenantId":"{}","email":"b@example.org","role":"AUDITOR"}})", kId));
    EXPECT_EQ(run_it({"user", "create", "b@example.org", "--role", "king"}).code, kUsage);
}

TEST_F(AccountCli, APasswordIsSetWithALink) {
    const Ran ran = run_it({"--server", "unix:" + api_.path(), "password", "set"},
                           "https://c:8443/accept#the-secret\ncorrect horse battery\n");
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(api_.bodies().back(),
              R"({"secret":"the-secret","password":"correct horse battery"})");
}

TEST_F(AccountCli, APasswordIsChangedWithThePresentOne) {
    ASSERT_EQ(log_in().code, kOk);
    const std::string both = "correct horse battery\nanother horse battery\n";
    const Ran ran = run_it({"password", "change"}, both);
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(api_.seen().back(), "POST /api/v1/auth/password");
    EXPECT_EQ(api_.bodies().back(),
              R"({"password":"correct horse battery","newPassword":"another horse battery"})");
    EXPECT_EQ((ran.out + ran.err).find("horse"), std::string::npos);
    const Ran typed = run_it({"password", "change"}, both + "a slip of the hand\n", true);
    EXPECT_EQ(typed.code, kFailed);
    EXPECT_NE(typed.err.find("cvlanctl: the two passwords differ\n"), std::string::npos);
}

TEST_F(AccountCli, ACertificatesKeyIsMadeHereAndKeptForItsOwnerAlone) {
    const std::string key = dir_.file("key.pem"), out = dir_.file("cert.pem");
    const std::vector<std::string> words{"--server",
                                         "unix:" + api_.path(),
                                         "certificate",
                                         "create",
                                         "laptop",
                                         "--out",
                                         out,
                                         "--key-out",
                                         key};
    const Ran made = run_it(words);
    ASSERT_EQ(made.code, kOk) << made.err;
    struct stat found {};
    ASSERT_EQ(stat(key.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600U);
    EXPECT_NE(api_.bodies().back().find("BEGIN CERTIFICATE REQUEST"), std::string::npos);
    EXPECT_EQ(api_.bodies().back().find("PRIVATE"), std::string::npos);
    const size_t asked = api_.seen().size();
    EXPECT_EQ(run_it(words).code, kConflict) << "a key that is there is not overwritten";
    EXPECT_EQ(api_.seen().size(), asked);
    ASSERT_EQ(unlink(key.c_str()), 0);
    EXPECT_EQ(run_it(words).code, kConflict) << "nor a certificate";
    EXPECT_NE(stat(key.c_str(), &found), 0) << "the key of no certificate";
    EXPECT_EQ(api_.seen().back().substr(0, 7), "DELETE ");
}

}  // namespace
}  // namespace cvlan::cli
