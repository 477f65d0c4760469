// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "cli/cli.h"
#include "model/wire.h"
#include "tests/support/fake_api.h"
#include "tests/support/temp_dir.h"

namespace cvlan::cli {
namespace {

constexpr const char* kTenant =
    R"({"id":"0193a1b2-0000-7000-8000-000000000001","name":"acme","createdAt":"2026-11-20T10:00:00.000Z"})";
constexpr const char* kNetwork =
    R"({"id":"0193a1b2-0000-7000-8000-000000000002","tenantId":"0193a1b2-0000-7000-8000-000000000001",)"
    R"("name":"lab","createdAt":"2026-11-20T10:00:00.000Z"})";
constexpr const char* kNode =
    R"({"id":"0193a1b2-0000-7000-8000-000000000003","tenantId":"0193a1b2-0000-7000-8000-000000000001",)"
    R"("name":"phone","state":"ACTIVE","role":"NODE","memberships":[],"createdAt":"2026-11-20T10:00:00.000Z"})";

struct AStockClient : testing::Test {
    test::TempDir folder;
    test::FakeApi api;
    std::string file = folder.file("phone.conf");
    std::string config = "# phone in lab\n[Interface]\nAddress = 10.1.0.9/32\n";

    void SetUp() override {
        api.reply("GET", "/api/v1/tenants", 200,
                  fmt::format(R"({{"tenants":[{}],"nextPageToken":""}})", kTenant));
        api.reply("GET", "/api/v1/networks", 200,
                  fmt::format(R"({{"networks":[{}],"nextPageToken":""}})", kNetwork));
        api.reply("POST", "/api/v1/nodes/external", 201, kNode);
        api.on("GET", "/api/v1/nodes/.*/wireguard-config",
               [this](const httplib::Request&, httplib::Response& response) {
                   response.set_content(encode(model::wire::WireguardConfig{config}),
                                        "application/json");
               });
        api.reply("DELETE", "/api/v1/nodes/.*", 204, "");
        api.start();
    }
    int run_it(const std::vector<std::string>& more, std::string& out) {
        std::ostringstream printed, err;
        std::istringstream in;
        const SystemClock clock;
        Io io{printed, err, in, clock};
        std::vector<std::string> words{"--server", "unix:" + api.path(), "node",      "create",
                                       "phone",    "--external",         "--network", "lab"};
        words.insert(words.end(), more.begin(), more.end());
        const int code = run(words, io);
        out = printed.str() + err.str();
        return code;
    }
    std::string content() const {
        std::ifstream stream(file);
        return {std::istreambuf_iterator<char>(stream), {}};
    }
};

std::string public_half(const std::string& private_key) {
    const auto bytes = from_base64(private_key);
    if (!bytes) return "";
    EVP_PKEY* key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, bytes->data(), bytes->size());
    Bytes open(32);
    size_t size = open.size();
    EVP_PKEY_get_raw_public_key(key, open.data(), &size);
    EVP_PKEY_free(key);
    return base64(open);
}

TEST_F(AStockClient, GetsAFileWhosePrivateKeyWasNeverSent) {
    std::string said;
    ASSERT_EQ(run_it({"--out", file}, said), kOk) << said;
    const std::string text = content();
    const std::string before = "# phone in lab\n[Interface]\nPrivateKey = ";
    ASSERT_EQ(text.substr(0, before.size()), before);
    const std::string key = text.substr(before.size(), 44);
    EXPECT_EQ(text.substr(before.size() + 44), "\nAddress = 10.1.0.9/32\n");
    struct stat found {};
    ASSERT_EQ(stat(file.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u);
    bool is_sent = false;
    for (const std::string& body : api.bodies()) {
        EXPECT_EQ(body.find(key), std::string::npos);
        is_sent |= body.find(public_half(key)) != std::string::npos;
    }
    EXPECT_TRUE(is_sent) << "the public half of the very key";
    EXPECT_EQ(said.find(key), std::string::npos);
}

// wg-quick runs the file as root.
TEST_F(AStockClient, GetsNoFileInWhichTheControllerSaysMoreThanItsTunnels) {
    const std::string good = config;
    const std::string peer = "\n# web\n[Peer]\nPublicKey = " + base64(Bytes(32, 7)) +
                             "\nAllowedIPs = 10.1.0.2/32, fd00::2/128\n"
                             "Endpoint = [2001:db8::1]:51820\nPersistentKeepalive = 25\n";
    const std::pair<std::string, std::string> bad[] = {
        {good + "PostUp = id > /tmp/x\n", "line 4: 'PostUp = id > /tmp/x'"},
        {good + "postup = id\n", "line 4"},
        {good + "SaveConfig = true\n", "line 4"},
        {good + "DNS = 10.1.0.1\n", "line 4"},
        {good + "PrivateKey = " + base64(Bytes(32, 7)) + "\n", "line 4"},
        {good + "[Interface]\n", "line 4"},
        {good + " Address = 10.1.0.9/32\n", "line 4"},
        {good + "MTU = 1420\rPostUp = id\n", "line 4"},
        {good + "MTU = 1420 # id\n", "line 4"},
        {good + "#\rPostUp = id\n", "line 4"},
        {good + "Address = 10.1.0.9/32,\n", "line 4"},
        {good + "Endpoint = 192.0.2.1:1\n", "line 4"},
        {good + "[Peer]\nAddress = 10.1.0.9/32\n", "line 5"},
        {good + "[Peer]\nEndpoint = a.example:51820\n", "line 5"},
        {good + "[Peer]\nPublicKey = c2hvcnQ=\n", "line 5"},
        {"Address = 10.1.0.9/32\n" + good, "line 1"},
        {"# [Interface]\n", "no [Interface]"},
    };
    for (const auto& [text, where] : bad) {
        config = text;
        std::string said;
        EXPECT_EQ(run_it({"--out", file}, said), kFailed) << text;
        EXPECT_NE(said.find(where), std::string::npos) << said;
        EXPECT_FALSE(std::ifstream(file).good()) << text;
        EXPECT_EQ(api.seen().back().substr(0, 7), "DELETE ") << "the node is taken back";
    }
    config = "# [Interface]\n" + good + "MTU = 1420\n" + peer + peer;
    std::string said;
    ASSERT_EQ(run_it({"--out", file}, said), kOk) << said;
    EXPECT_NE(content().find("[Interface]\nPrivateKey = "), std::string::npos);
    EXPECT_EQ(content().find("# [Interface]\nPrivateKey"), std::string::npos);
}

TEST_F(AStockClient, IsTakenBackWhereItsFileCanNotBeWritten) {
    std::ofstream(file) << "somebody else's";
    std::string said;
    EXPECT_NE(run_it({"--out", file}, said), kOk);
    EXPECT_EQ(content(), "somebody else's");
    EXPECT_EQ(api.seen().back().substr(0, 7), "DELETE ");
}

TEST_F(AStockClient, OfAKeyMadeElsewhereGetsAFileWithoutOne) {
    std::string said;
    ASSERT_EQ(run_it({"--out", file, "--public-key", base64(Bytes(32, 7))}, said), kOk) << said;
    EXPECT_EQ(content(), "# phone in lab\n[Interface]\nAddress = 10.1.0.9/32\n");
    EXPECT_NE(api.bodies()[2].find(base64(Bytes(32, 7))), std::string::npos);
}

TEST_F(AStockClient, GetsACodeForItsCameraInAQuietZone) {
    std::string said;
    ASSERT_EQ(run_it({"--out", file, "--qr", "-o", "name"}, said), kOk) << said;
    std::istringstream lines(said);
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "phone");
    std::getline(lines, line);
    EXPECT_EQ(line.find_first_not_of("\xe2\x96\x88"), std::string::npos) << "light all around";
    const size_t modules = line.size() / 3;
    size_t rows = 1;
    while (std::getline(lines, line)) ++rows;
    EXPECT_EQ(rows, (modules + 1) / 2) << "a square";
    EXPECT_EQ((modules - 8 - 17) % 4, 0u) << "the size of a version of ISO/IEC 18004";
}

}  // namespace
}  // namespace cvlan::cli
