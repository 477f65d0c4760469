// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_file.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <utility>

namespace cvlan::store {

namespace {
// Those that linux/magic.h of this Debian leaves out.
constexpr uint32_t kCifs = 0xff534d42;
constexpr uint32_t kSmb2 = 0xfe534d42;
constexpr uint32_t kCeph = 0x00c36400;
constexpr uint32_t kLustre = 0x0bd00bd0;
}  // namespace

Result<SqliteFile> SqliteFile::of(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
        Error error = errno_error("stat " + path);
        error.code = Code::Unavailable;
        return failed(std::move(error));
    }
    return SqliteFile(path, found.st_dev, found.st_ino, found.st_uid);
}

Result<void> SqliteFile::check_in_place() const {
    struct stat found {};
    if (::stat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == number_)
        return {};
    return fail(Code::Unavailable,
                "database: {} was moved, removed or replaced under this process: put it back, or "
                "restart the controller on what is there now",
                path_);
}

Result<void> SqliteFile::check_owner(uid_t uid) const {
    if (owner_ == uid) return {};
    return fail(Code::Unsupported, "belongs to user {}, and this runs as user {}: chown it", owner_,
                uid);
}

Result<void> check_file_system(int64_t type) {
    constexpr std::pair<uint32_t, const char*> kOfNetworks[] = {
        {NFS_SUPER_MAGIC, "NFS"}, {SMB_SUPER_MAGIC, "SMB"}, {kCifs, "SMB"},     {kSmb2, "SMB"},
        {AFS_SUPER_MAGIC, "AFS"}, {kCeph, "CephFS"},        {kLustre, "Lustre"}};
    for (const auto& [magic, name] : kOfNetworks)
        if (static_cast<uint32_t>(type) == magic)
            return fail(Code::Unsupported,
                        "lies on {}, where SQLite's locks do not hold: put it on a local disk, or "
                        "use PostgreSQL",
                        name);
    return {};
}

Result<void> check_local(const std::string& folder) {
    struct statfs found {};
    if (::statfs(folder.c_str(), &found) != 0) return failed(errno_error("statfs " + folder));
    return check_file_system(found.f_type);
}

}  // namespace cvlan::store
