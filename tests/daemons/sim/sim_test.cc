// SPDX-License-Identifier: Apache-2.0
// The parts of a simulation which need no controller: its figures, its pace, what it keeps.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "daemons/sim/identity.h"
#include "daemons/sim/news.h"
#include "daemons/sim/pace.h"
#include "daemons/sim/samples.h"
#include "tests/support/temp_dir.h"

namespace cvlan::sim {
namespace {

namespace wire = model::wire;
using namespace std::chrono_literals;

TEST(SimSamples, TellTheMedianAndTheTail) {
    Samples samples;
    const Instant now = instant();
    for (int ms = 1; ms <= 101; ++ms) samples.add(now - std::chrono::seconds(ms));
    EXPECT_EQ(samples.count(), 101u);
    EXPECT_NEAR(samples.quantile(0.5), 51'000, 500);
    EXPECT_NEAR(samples.quantile(0.99), 100'000, 500);
    EXPECT_NEAR(samples.quantile(1), 101'000, 500);
    EXPECT_NEAR(samples.per_second(), 1, 0.01);
}

TEST(SimSamples, OfNothingAreZero) {
    const Samples none;
    EXPECT_EQ(none.quantile(0.99), 0);
    EXPECT_EQ(none.per_second(), 0);
    EXPECT_EQ(none.raw(), "[]");
}

TEST(SimPace, MakesUpForWhatIsLateAndNeverRunsAhead) {
    Pace pace;
    pace.set(10);
    EXPECT_EQ(pace.due(0.05), 0u);
    EXPECT_EQ(pace.due(0.1), 1u);
    EXPECT_EQ(pace.due(0.1), 0u);
    EXPECT_EQ(pace.due(2.05), 19u);  // the loop was busy for two seconds
    size_t more = 0;
    for (int ms = 2060; ms <= 10'000; ms += 10) more += pace.due(ms / 1000.0);
    EXPECT_EQ(more, 80u);
}

TEST(SimPace, OfNothingIsNothing) { EXPECT_EQ(Pace().due(1e6), 0u); }

const std::string kId = "01900000-0000-7000-8000-000000000001";

Identity some_identity(const std::string& id) {
    Identity identity;
    identity.phase = model::state::Phase::Enrolled;
    identity.tenant_id = kId;
    identity.node_id = id;
    identity.tls_key = "the key";
    identity.certificate = "the certificate";
    identity.ca_spki = Bytes(32, 1);
    identity.session = {"https://127.0.0.1:1"};
    identity.networks.push_back({kId, "", 51820, true});
    return identity;
}

TEST(SimIdentities, AreFoundAgainInTheirOrder) {
    const test::TempDir folder;
    const Identity one = some_identity("one"), two = some_identity("two");
    ASSERT_TRUE(save_identities(folder.file("state"), {&one, &two}));
    const auto read = load_identities(folder.file("state"));
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 2u);
    EXPECT_EQ((*read)[0].node_id, "one");
    EXPECT_EQ((*read)[1].node_id, "two");
    EXPECT_EQ((*read)[1].tls_key, "the key");
}

TEST(SimIdentities, AreRefusedWhereOthersCanReadTheirKeys) {
    const test::TempDir folder;
    const Identity one = some_identity("one");
    ASSERT_TRUE(save_identities(folder.file("state"), {&one}));
    ASSERT_EQ(chmod(folder.file("state").c_str(), 0644), 0);
    EXPECT_FALSE(load_identities(folder.file("state")));
}

TEST(SimIdentities, AreRefusedWithoutWhatASessionNeeds) {
    const test::TempDir folder;
    Identity one = some_identity("one");
    one.session.clear();
    ASSERT_TRUE(save_identities(folder.file("state"), {&one}));
    EXPECT_FALSE(load_identities(folder.file("state")));
}

wire::NodeMap map_with(wire::MapKind kind, const std::string& endpoint) {
    wire::MapFragment fragment;
    fragment.scope = kId;
    fragment.kind = wire::FragmentKind::Peer;
    fragment.id = kId;
    fragment.revision = 7;
    fragment.peer.emplace();
    fragment.peer->endpoints = {endpoint};
    const std::string payload = encode(fragment);
    const ByteView bytes = as_bytes(payload);
    wire::NodeMap map;
    map.kind = kind;
    map.epoch = 3;
    map.revision = 7;
    map.fragments.push_back({"kid", Bytes(bytes.begin(), bytes.end()), Bytes(64, 1)});
    return map;
}

TEST(SimNews, OfADeltaAreItsPeersAndWhatToAskForNext) {
    NewsReader reader;
    const std::string body = encode(map_with(wire::MapKind::Delta, "192.0.2.1:1"));
    const auto news = reader.read(body);
    ASSERT_TRUE(news) << news.error().message;
    EXPECT_EQ((*news)->since, "3.7");
    ASSERT_EQ((*news)->peers.size(), 1u);
    EXPECT_EQ((*news)->peers[0].node_id, kId);
    EXPECT_EQ((*news)->peers[0].endpoints, std::vector<std::string>{"192.0.2.1:1"});
    EXPECT_EQ(reader.read(body)->get(), news->get()) << "read twice";
}

TEST(SimNews, OfAFullMapAreOnlyItsRevision) {
    NewsReader reader;
    const auto news = reader.read(encode(map_with(wire::MapKind::Full, "192.0.2.1:1")));
    ASSERT_TRUE(news) << news.error().message;
    EXPECT_TRUE((*news)->is_full);
    EXPECT_EQ((*news)->since, "3.7");
    EXPECT_TRUE((*news)->peers.empty());
}

TEST(SimNews, ThatCanNotBeReadAreAnError) { EXPECT_FALSE(NewsReader().read("{")); }

}  // namespace
}  // namespace cvlan::sim
