// SPDX-License-Identifier: Apache-2.0
// IPsec connections on the command line: made with a secret from a file, and told to the other
// side.
#include "cli/ipsec_site.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <sstream>

#include "cli/cli.h"
#include "tests/cli/real_controller.h"

namespace cvlan::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace wire = model::wire;

Site site() {
    Site made;
    made.connection.name = "berlin";
    made.connection.remote_identity = "fw.example";
    made.connection.local_identity = "0198.ike.acme.example";
    made.connection.remote_addresses = {"192.0.2.7"};
    made.connection.remote_subnets = {"192.168.7.0/24", "192.168.8.0/24"};
    made.connection.dpd_seconds = 30;
    made.connection.rekey_seconds = 3600;
    made.our_subnets = {"10.100.0.0/24"};
    made.our_addresses = {"203.0.113.5"};
    return made;
}

TEST(SwanctlOf, IsTheSameConnectionSeenFromTheOtherSide) {
    EXPECT_EQ(swanctl_of(site()),
              "# The other side of the IPsec connection 'berlin' (cvlanctl ipsec connection show "
              "berlin).\n"
              "connections {\n"
              "    cvlan-berlin {\n"
              "        version = 2\n"
              "        local_addrs = 192.0.2.7\n"
              "        remote_addrs = 203.0.113.5\n"
              "        proposals = aes256gcm16-prfsha384-ecp384-x25519\n"
              "        dpd_delay = 30s\n"
              "        rekey_time = 14400s\n"
              "        local {\n"
              "            auth = psk\n"
              "            id = \"fw.example\"\n"
              "        }\n"
              "        remote {\n"
              "            auth = psk\n"
              "            id = \"0198.ike.acme.example\"\n"
              "        }\n"
              "        children {\n"
              "            cvlan {\n"
              "                local_ts = 192.168.7.0/24, 192.168.8.0/24\n"
              "                remote_ts = 10.100.0.0/24\n"
              "                esp_proposals = aes256gcm16-ecp384-x25519\n"
              "                rekey_time = 3600s\n"
              "                start_action = trap\n"
              "                dpd_action = trap\n"
              "            }\n"
              "        }\n"
              "    }\n"
              "}\n"
              "secrets {\n"
              "    ike-cvlan-berlin {\n"
              "        id-1 = \"fw.example\"\n"
              "        id-2 = \"0198.ike.acme.example\"\n"
              "        # put the secret here: in quotes, or 0x and its bytes in hexadecimal\n"
              "        secret =\n"
              "    }\n"
              "}\n");
}

TEST(SwanctlOf, SaysWhatItDoesNotKnowAndHasWhatTheConnectionSays) {
    Site other = site();
    other.our_addresses.clear();
    other.connection.auth = wire::IpsecAuth::Certificate;
    other.connection.start = wire::IpsecStart::Start;
    other.connection.ike_proposals = {"aes256-sha256-modp2048", "aes128-sha256-modp2048"};
    other.approved_only = true;
    const std::string text = swanctl_of(other);
    EXPECT_THAT(text, HasSubstr("remote_addrs = ADDRESS-OF-THE-VROUTER\n"));
    EXPECT_THAT(text, HasSubstr("auth = pubkey\n"));
    EXPECT_THAT(text, HasSubstr("certs = CERTIFICATE-OF-THIS-DEVICE.pem\n"));
    EXPECT_THAT(text, HasSubstr("cacerts = CA-OF-THE-CONTROLLER.pem\n"));
    EXPECT_THAT(text, HasSubstr("proposals = aes256-sha256-modp2048, aes128-sha256-modp2048\n"));
    EXPECT_THAT(text, HasSubstr("esp_proposals = aes256gcm16-ecp384-ecp256\n"));
    EXPECT_THAT(text, HasSubstr("start_action = none\n"));
    EXPECT_THAT(text, Not(HasSubstr("secret")));
}

TEST(SettingsOf, NameEachForDevicesWithAFormOfTheirOwn) {
    const auto settings = settings_of(site());
    const auto value_of = [&](const std::string& name) {
        for (const auto& [key, value] : settings)
            if (key == name) return value;
        return std::string("absent");
    };
    EXPECT_EQ(value_of("Own identity"), "fw.example");
    EXPECT_EQ(value_of("Peer's identity"), "0198.ike.acme.example");
    EXPECT_EQ(value_of("Own subnets"), "192.168.7.0/24, 192.168.8.0/24");
    EXPECT_EQ(value_of("Peer's subnets"), "10.100.0.0/24");
    EXPECT_EQ(value_of("ESP proposals"), "aes256gcm16-ecp384-x25519");
}

struct Ran {
    int code;
    std::string out, err;
};

struct IpsecConnections : testing::Test {
    test::RealController controller;
    test::TempDir folder;

    void SetUp() override {
        controller.start();
        ASSERT_EQ(run_it({"tenant", "create", "acme"}).code, kOk);
        ASSERT_EQ(run_it({"network", "create", "lan", "--ipv4", "10.1.0.0/24"}).code, kOk);
        ASSERT_EQ(
            run_it({"vrouter", "create", "gw", "--networks", "lan", "--routes", "172.16.0.0/16"})
                .code,
            kOk);
    }
    void TearDown() override { controller.stop(); }
    Ran run_it(std::vector<std::string> words) {
        std::ostringstream out, err;
        std::istringstream in;
        const SystemClock clock;
        Io io{out, err, in, clock};
        words.insert(words.begin(), {"--server", "unix:" + controller.socket()});
        const int code = run(words, io);
        return {code, out.str(), err.str()};
    }
    std::string file(const std::string& name, const std::string& content, mode_t mode = 0600) {
        std::string path = folder.file(name);
        std::ofstream(path) << content;
        EXPECT_EQ(chmod(path.c_str(), mode), 0);
        return path;
    }
    Ran make(const std::string& secret_file) {
        return run_it({"ipsec", "connection", "create", "berlin", "--network", "lan",
                       "--remote-addresses", "192.0.2.7", "--remote-identity", "fw.example",
                       "--auth", "psk", "--secret-file", secret_file, "--remote-subnets",
                       "192.168.7.0/24,192.168.8.0/24"});
    }
};

TEST_F(IpsecConnections, AreMadeWithASecretFromAFileOfItsOwnerAlone) {
    const std::string good(32, 's');
    EXPECT_EQ(make(folder.file("absent")).code, kNotFound);
    const Ran open = make(file("open", good, 0644));
    EXPECT_EQ(open.code, kDenied) << open.err;
    const Ran line = make(file("line", good + "\n"));
    EXPECT_EQ(line.code, kFailed);
    EXPECT_THAT(line.err, HasSubstr("ends with a newline"));
    EXPECT_EQ(make(file("short", "short")).code, kFailed);
    EXPECT_EQ(run_it({"ipsec", "connection", "create", "berlin", "--secret", good}).code, kUsage)
        << "never on the command line";
    const Ran made = make(file("good", good));
    ASSERT_EQ(made.code, kOk) << made.err;
    const Ran listed = run_it({"ipsec", "connection", "list"});
    EXPECT_THAT(listed.out, HasSubstr("berlin"));
    const Ran shown = run_it({"ipsec", "connection", "show", "berlin", "-o", "json"});
    EXPECT_THAT(shown.out, HasSubstr(R"("network":"lan")"));
    EXPECT_THAT(shown.out, HasSubstr(R"("secretRevision":"1")"));
    for (const Ran* ran : {&made, &listed, &shown}) EXPECT_THAT(ran->out, Not(HasSubstr("sss")));

    const Ran updated = run_it({"ipsec", "connection", "update", "berlin", "--secret-file",
                                file("next", std::string("a\0b", 3) + good), "--start", "start"});
    ASSERT_EQ(updated.code, kOk) << updated.err;
    EXPECT_THAT(run_it({"ipsec", "connection", "show", "berlin", "-o", "json"}).out,
                HasSubstr(R"("secretRevision":"2")"));
    EXPECT_EQ(run_it({"ipsec", "list", "--socket", folder.file("none")}).code, kUnreachable)
        << "a machine's own tunnels are still asked of its agent";
    EXPECT_EQ(run_it({"ipsec", "connection", "delete", "berlin", "--yes"}).code, kOk);
    EXPECT_EQ(run_it({"ipsec", "connection", "show", "berlin"}).code, kNotFound);
}

TEST_F(IpsecConnections, AreToldToTheOtherSide) {
    ASSERT_EQ(make(file("good", std::string(32, 's'))).code, kOk);
    const Ran swanctl = run_it({"ipsec", "connection", "export", "berlin", "--format", "swanctl"});
    ASSERT_EQ(swanctl.code, kOk) << swanctl.err;
    EXPECT_THAT(swanctl.out, HasSubstr("local_ts = 192.168.7.0/24, 192.168.8.0/24\n"));
    EXPECT_THAT(swanctl.out, HasSubstr("remote_ts = 10.1.0.0/24"));
    EXPECT_THAT(swanctl.out, HasSubstr(", 172.16.0.0/16\n"));
    EXPECT_THAT(swanctl.out, HasSubstr(".ike."));
    EXPECT_THAT(swanctl.out, HasSubstr("ADDRESS-OF-THE-VROUTER"));
    EXPECT_THAT(swanctl.out, Not(HasSubstr("sss")));
    const Ran text = run_it({"ipsec", "connection", "export", "berlin", "--format", "text"});
    EXPECT_THAT(text.out, HasSubstr("Own identity"));
    EXPECT_EQ(run_it({"ipsec", "connection", "export", "berlin", "--format", "pdf"}).code, kUsage);
    EXPECT_EQ(run_it({"ipsec", "connection", "export", "bonn", "--format", "text"}).code,
              kNotFound);
}

}  // namespace
}  // namespace cvlan::cli
