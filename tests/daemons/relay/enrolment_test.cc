// SPDX-License-Identifier: Apache-2.0
// Becoming a relay: what is asked, what of the answer is believed, and what lies on the disk.
#include "daemons/relay/enrolment.h"

#include <sys/stat.h>

#include "daemons/relay/enrol.h"
#include "tests/daemons/relay/fake_controller.h"

namespace cvlan::relayd::test {
namespace {

class Enrolment : public testing::Test {
protected:
    Result<std::string> enrol(const std::string& token, const std::string& name = "") {
        std::optional<Result<std::string>> done;
        Enrolling enrolling(loop, dir, [&](Result<std::string> result) { done = result; });
        if (auto begun = enrolling.begin(token, name); !begun) return failed(begun.error());
        if (!until(loop, [&] { return done.has_value(); }))
            return fail(Code::Internal, "no answer");
        return *done;
    }

    EventLoop loop;
    FakeController controller{loop};
    cvlan::test::TempDir folder;
    StateDir dir = *StateDir::open(folder.file("state"));
};

TEST_F(Enrolment, LeavesAnIdentityOfTheTokensTenant) {
    const auto name = enrol(controller.token(), "r1");
    ASSERT_TRUE(name) << name.error().message;
    EXPECT_EQ(*name, "r1");
    EXPECT_EQ(controller.enrolment->name, "r1");
    EXPECT_EQ(controller.enrolment->capabilities, std::vector<std::string>{"relay"});
    EXPECT_FALSE(controller.enrolment->wireguard_public_key);
    const auto kept = dir.load_identities();
    ASSERT_TRUE(kept && kept->size() == 1);
    EXPECT_TRUE(kept->front().is_enrolled());
    EXPECT_EQ(kept->front().server_name(), kNode + "." + kTenant + ".cvlan.test");
    struct stat status {};
    ASSERT_EQ(stat((folder.file("state") + "/" + kTenant + "/identity.json").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Enrolment, WithATokenOfANodeIsNotAskedFor) {
    const auto done = enrol(controller.token(kNetwork));
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find("RELAY"), std::string::npos) << done.error().message;
    EXPECT_TRUE(controller.requests.empty());
    EXPECT_FALSE(enrol("cvlan_reg_nonsense"));
}

TEST_F(Enrolment, ThatIsRefusedSaysWhyAndIsTriedAgainWithTheSameKey) {
    controller.refuse(403, "TOKEN_SPENT");
    const auto refused = enrol(controller.token());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Denied);
    EXPECT_EQ(refused.error().message, "because");
    const auto pending = dir.load_identity(kTenant);
    ASSERT_TRUE(pending);
    EXPECT_FALSE(pending->is_enrolled());
    controller.relent();
    ASSERT_TRUE(enrol(controller.token()));
    EXPECT_EQ(dir.load_identity(kTenant)->kept.tls_key, pending->kept.tls_key);
}

TEST_F(Enrolment, BelievesNoAnswerThatIsForAnother) {
    const std::pair<const char*, std::function<void(wire::Enrolment&)>> spoilt[] = {
        {"another tenant", [](auto& answer) { answer.tenant_id = node_id(5); }},
        {"another node", [](auto& answer) { answer.node_id = node_id(5); }},
        {"no UUID", [](auto& answer) { answer.node_id = "../../etc"; }},
        {"no name", [](auto& answer) { answer.name = "\x1b[2J"; }},
        {"another root", [](auto& answer) { answer.trust_bundle.clear(); }},
        {"no map key", [](auto& answer) { answer.map_keys.clear(); }},
        {"no URL", [](auto& answer) { answer.session = {"http://plain"}; }},
        {"another key",
         [&](auto& answer) {
             const auto csr = pki::create_csr(*pki::TlsKey::generate());
             answer.certificate = controller.issuer.certificate(*csr, kNode);
         }},
    };
    for (const auto& [what, spoil] : spoilt) {
        controller.spoil = spoil;
        EXPECT_FALSE(enrol(controller.token())) << what;
        EXPECT_FALSE(dir.load_identity(kTenant)->is_enrolled()) << what;
    }
}

TEST_F(Enrolment, OfAnUnreachableControllerFails) {
    const std::string token = controller.token();
    controller.stop();
    const auto done = enrol(token);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::Unavailable);
}

}  // namespace
}  // namespace cvlan::relayd::test
