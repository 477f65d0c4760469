// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/map_store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "tests/daemons/agent/support.h"

namespace cvlan::agent {
namespace {

using namespace testing;

struct MapStoreTest : ::testing::Test {
    test::TempDir folder;
    MapMaker maker;
    MapStore store = store_of(maker, folder.path());

    static void damage(const std::string& path) {
        std::ofstream(path, std::ios::trunc) << std::string(100, '\0');
    }
    Code refused(const wire::NodeMap& answer) {
        auto taken = store.take(answer);
        EXPECT_FALSE(taken);
        return taken ? Code::Internal : taken.error().code;
    }
};

TEST_F(MapStoreTest, TakesAFullMap) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    EXPECT_EQ(store.since(), "1.5");
    const auto& network = store.map()->networks.at(kNetwork);
    EXPECT_EQ(network.self.name, "n1");
    EXPECT_EQ(network.peers.size(), 2u);
    EXPECT_TRUE(store.map()->refused.empty());
}

TEST_F(MapStoreTest, ADeltaAddsChangesAndRemoves) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    auto taken = store.take(maker.delta(
        9, {maker.peer(node_id(4), 4, 7, wireguard_key(4)), maker.tombstone(node_id(2), 8),
            maker.peer(node_id(3), 33, 9, wireguard_key(3))}));
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_TRUE(*taken);
    EXPECT_EQ(store.since(), "1.9");
    const auto& peers = store.map()->networks.at(kNetwork).peers;
    EXPECT_FALSE(peers.contains(node_id(2)));
    EXPECT_TRUE(peers.contains(node_id(4)));
    EXPECT_EQ(peers.at(node_id(3)).name, "n33");
}

TEST_F(MapStoreTest, RefusesALowerRevisionOfTheSameEpoch) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    EXPECT_EQ(refused(maker.usual(4, 2, wireguard_key(1))), Code::Denied);
    EXPECT_EQ(refused(maker.delta(4, {})), Code::Denied);
    EXPECT_EQ(store.map()->networks.at(kNetwork).peers.size(), 2u);
}

TEST_F(MapStoreTest, AnotherEpochNeedsAFullMap) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    maker.epoch = 2;
    EXPECT_EQ(refused(maker.delta(6, {})), Code::Conflict);
    ASSERT_TRUE(store.take(maker.usual(3, 2, wireguard_key(1))));
    EXPECT_EQ(store.since(), "2.3");
}

// F47, F49: a controller that was restored, or left behind, has nothing to say any more.
TEST_F(MapStoreTest, RefusesALowerEpochWhateverItsRevision) {
    maker.epoch = 3;
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    ASSERT_TRUE(store.save());
    maker.epoch = 2;
    EXPECT_EQ(refused(maker.usual(9, 2, wireguard_key(1))), Code::Denied);
    EXPECT_EQ(refused(maker.delta(9, {})), Code::Denied);
    EXPECT_EQ(store.since(), "3.5");
    EXPECT_EQ(store.map()->networks.at(kNetwork).peers.size(), 2u);
    // Nor after a restart from the disk.
    MapStore anew = store_of(maker, folder.path());
    ASSERT_TRUE(anew.load());
    const auto taken = anew.take(maker.usual(9, 2, wireguard_key(1)));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().message, "map of epoch 2, before 3, which is here");
    EXPECT_EQ(anew.since(), "3.5");
}

TEST_F(MapStoreTest, RefusesAnAnswerWithOneChangedByteAndKeepsTheOld) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    auto delta = maker.delta(6, {maker.peer(node_id(4), 4, 6, wireguard_key(4))});
    delta.fragments[0].payload[10] ^= 1;
    EXPECT_EQ(refused(delta), Code::Denied);
    EXPECT_EQ(store.since(), "1.5");
    EXPECT_EQ(store.map()->networks.at(kNetwork).peers.size(), 2u);
}

TEST_F(MapStoreTest, RefusesTheKeyOfSomebodyElse) {
    const MapMaker stranger;
    EXPECT_EQ(refused(stranger.usual(5, 3, wireguard_key(1))), Code::Denied);
}

TEST_F(MapStoreTest, RefusesTheMapOfAnotherNode) {
    auto map = maker.usual(5, 3, wireguard_key(1));
    map.head = maker.head(5, kNow, node_id(9));
    EXPECT_EQ(refused(map), Code::Denied);
}

TEST_F(MapStoreTest, RefusesAFullMapWithoutItsHead) {
    auto map = maker.usual(5, 3, wireguard_key(1));
    map.head.reset();
    EXPECT_EQ(refused(map), Code::Malformed);
}

TEST_F(MapStoreTest, RefusesAHeadThatIsOlderThanItsOwn) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    auto delta = maker.delta(6, {});
    delta.head = maker.head(6, kNow - std::chrono::hours(1));
    EXPECT_EQ(refused(delta), Code::Denied);
}

TEST_F(MapStoreTest, AnOlderWordAboutAPeerDoesNotUndoANewerOne) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    ASSERT_TRUE(store.take(maker.delta(8, {maker.peer(node_id(2), 22, 8, wireguard_key(2))})));
    ASSERT_TRUE(store.take(maker.delta(9, {maker.peer(node_id(2), 2, 6, wireguard_key(2))})));
    EXPECT_EQ(store.map()->networks.at(kNetwork).peers.at(node_id(2)).name, "n22");
}

TEST_F(MapStoreTest, OneFragmentThatMakesNoSenseIsLeftOutAndTold) {
    auto map = maker.usual(5, 3, wireguard_key(1));
    map.fragments.push_back(maker.sign("{\"scope\":1}"));
    ASSERT_TRUE(store.take(map));
    EXPECT_EQ(store.map()->networks.at(kNetwork).peers.size(), 2u);
    EXPECT_EQ(store.map()->refused.size(), 1u);
}

TEST_F(MapStoreTest, ReadsBackWhatItSaved) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    ASSERT_TRUE(store.take(maker.delta(9, {maker.tombstone(node_id(2), 8)})));
    ASSERT_TRUE(store.save());
    MapStore again = store_of(maker, folder.path());
    auto loaded = again.load();
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_FALSE(loaded->used_previous);
    EXPECT_EQ(again.since(), "1.9");
    EXPECT_EQ(again.map()->networks.at(kNetwork).peers.size(), 1u);
}

TEST_F(MapStoreTest, ADamagedFileGivesThePreviousGeneration) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    ASSERT_TRUE(store.save());
    ASSERT_TRUE(store.take(maker.delta(9, {maker.tombstone(node_id(2), 8)})));
    ASSERT_TRUE(store.save());
    damage(folder.file("map.json"));
    MapStore again = store_of(maker, folder.path());
    auto loaded = again.load();
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_TRUE(loaded->used_previous);
    EXPECT_EQ(again.since(), "1.5");
}

TEST_F(MapStoreTest, ASoundFileSignedByNobodyWeKnowIsRefusedAtBoot) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    ASSERT_TRUE(store.save());
    MapStore again = store_of(MapMaker(), folder.path());
    auto loaded = again.load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Denied);
    EXPECT_EQ(again.map(), nullptr);
}

TEST_F(MapStoreTest, TheMapOfAClonedFolderIsNotAnotherNodes) {
    ASSERT_TRUE(store.take(maker.usual(5, 3, wireguard_key(1))));
    ASSERT_TRUE(store.save());
    EXPECT_FALSE(store_of(maker, folder.path(), node_id(9)).load());
}

TEST_F(MapStoreTest, NoFileIsNotFound) {
    auto loaded = store.load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::NotFound);
}

}  // namespace
}  // namespace cvlan::agent
