// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/maintenance.h"

#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "daemons/controller/setup.h"
#include "store/postgres_upkeep.h"
#include "store/sql_store.h"
#include "store/sqlite_copy.h"
#include "store/upkeep.h"

namespace cvlan::controller {

namespace {

int complain(const Error& error) {
    fmt::print(stderr, "cvlan-controller: {}\n", error.message);
    return 1;
}

void tell(const std::string& text) { fmt::print(stderr, "cvlan-controller: {}\n", text); }

// Root acts as the owner of the folder while this lives, and takes its groups off for that time.
class AsOwner {
public:
    explicit AsOwner(const std::string& folder) {
        struct stat found {};
        if (geteuid() != 0 || stat(folder.c_str(), &found) != 0 || found.st_uid == 0) return;
        was_root_ = true;
        if (setgroups(0, nullptr) != 0 || setegid(found.st_gid) != 0 || seteuid(found.st_uid) != 0)
            error_ = errno_error("become the owner of " + folder);
    }
    ~AsOwner() {
        if (was_root_ && (seteuid(0) != 0 || setegid(0) != 0)) std::abort();
    }
    AsOwner(const AsOwner&) = delete;
    AsOwner& operator=(const AsOwner&) = delete;
    const std::optional<Error>& error() const { return error_; }
    bool is_other() const { return was_root_; }

private:
    bool was_root_ = false;
    std::optional<Error> error_;
};

struct Draft {
    std::string path;
    ~Draft() { ::unlink(path.c_str()); }
};

// The owner of the state folder may not write where root may: it writes beside the database, and
// root copies that.
Result<store::FileState> copy_out(const ControllerConfig& config, const std::string& file) {
    const Draft draft{fmt::format("{}.{}.backup", database_path(config), getpid())};
    bool is_other = false;
    {
        const AsOwner owner(config.state_dir);
        if (owner.error()) return failed(*owner.error());
        is_other = owner.is_other();
        auto copied = store::copy_database(database_path(config), is_other ? draft.path : file);
        if (!copied || !is_other) return copied;
    }
    return store::copy_database(draft.path, file);
}

// A copy of a database that root alone may read, made where nobody else gets at it: in the state
// folder its owner could have root write, or give away, another file (T19).
Result<UniqueFd> open_copy(const std::string& file) {
    std::string folder = "/var/tmp/cvlan-restore-XXXXXX";
    if (!mkdtemp(folder.data())) return failed(errno_error("create a folder in /var/tmp"));
    const std::string copy = folder + "/copy";
    auto copied = store::copy_database(file, copy);
    UniqueFd fd(copied ? ::open(copy.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1);
    if (copied && !fd) copied = failed(errno_error("open " + copy));
    ::unlink(copy.c_str());
    ::rmdir(folder.c_str());
    if (!copied) return failed(copied.error());
    return fd;
}

// By the owner of the folder, who may do there what he likes.
Result<void> write_out(const UniqueFd& copy, const std::string& to) {
    const UniqueFd made(
        ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!made) return failed(errno_error("create " + to));
    ssize_t written = 1;
    while (written > 0) written = ::sendfile(made.get(), copy.get(), nullptr, 1 << 30);
    if (written < 0) return failed(errno_error("write " + to));
    return {};
}

Result<std::unique_ptr<store::Store>> open_database(const ControllerConfig& config,
                                                    const Clock& clock) {
    return open_store(config, clock, store::Create::No);
}

// What works on SQLite's file does not on a server's database.
std::optional<int> refuse_postgres(const ControllerConfig& config, const char* instead) {
    if (config.database.url.empty()) return std::nullopt;
    return complain(Error{Code::Unsupported,
                          fmt::format("the database is a PostgreSQL server's: {}", instead)});
}

}  // namespace

int backup(const ControllerConfig& config, const std::string& file) {
    if (auto refused = refuse_postgres(config, "copy it by pg_dump")) return *refused;
    auto state = copy_out(config, file);
    if (!state) return complain(state.error().while_doing("backup"));
    tell(
        fmt::format("{} has all that was committed (schema {}); keep keys/, pki/, controller.key "
                    "and controller.name of {} with it, elsewhere",
                    file, state->schema, config.state_dir));
    return 0;
}

int restore(const ControllerConfig& config, const std::string& file) {
    if (auto refused =
            refuse_postgres(config, "put it back into a new one by pg_restore, then run new-epoch"))
        return *refused;
    const Draft draft{fmt::format("{}.{}.backup", database_path(config), getpid())};
    std::string source = file;
    Result<UniqueFd> copy{UniqueFd()};
    if (geteuid() == 0) copy = open_copy(file);
    if (!copy) return complain(copy.error().while_doing("restore"));
    const AsOwner owner(config.state_dir);
    if (owner.error()) return complain(*owner.error());
    if (*copy) {
        if (auto there = write_out(*copy, draft.path); !there)
            return complain(there.error().while_doing("restore"));
        source = draft.path;
    }
    auto restored = store::restore_database(source, database_path(config), SystemClock().now());
    if (!restored) return complain(restored.error().while_doing("restore"));
    tell(fmt::format("{} is restored from {}, with epoch {}: every node takes a whole new map",
                     database_path(config), file, restored->state.epoch));
    if (!restored->revocations_lost.empty())
        tell(fmt::format(
            "what it replaced is {} and could not be read ({}): nodes that were revoked "
            "since the backup are let in again; revoke them anew",
            restored->kept_as, restored->revocations_lost));
    else if (!restored->kept_as.empty())
        tell(fmt::format("what it replaced is {}; {} nodes that were revoked since stay so",
                         restored->kept_as, restored->revoked_kept));
    return 0;
}

int new_epoch(const ControllerConfig& config) {
    const AsOwner owner(config.state_dir);
    if (owner.error()) return complain(*owner.error());
    const SystemClock clock;
    auto opened = open_database(config, clock);
    if (!opened) return complain(opened.error());
    auto epoch = (*opened)->upkeep().new_epoch();
    if (!epoch) return complain(epoch.error());
    tell(fmt::format("the epoch is {} now: every node takes a whole new map", *epoch));
    return 0;
}

int check_db(const ControllerConfig& config) {
    const AsOwner owner(config.state_dir);
    if (owner.error()) return complain(*owner.error());
    const SystemClock clock;
    auto broken = config.database.url.empty() ? store::check_database(database_path(config), clock)
                                              : store::check_database(config.database, clock);
    if (!broken) return complain(broken.error().while_doing("db check"));
    for (const std::string& fault : *broken) fmt::print("{}\n", fault);
    tell(broken->empty() ? "the database is sound"
                         : fmt::format("the database has {} faults", broken->size()));
    return broken->empty() ? 0 : 1;
}

int migrate(const ControllerConfig& config, bool only_try) {
    if (auto refused = refuse_postgres(
            config,
            "run pg_dump first and try it on a copy; a controller migrates as it starts, "
            "and keeps none"))
        return *refused;
    const AsOwner owner(config.state_dir);
    if (owner.error()) return complain(*owner.error());
    const SystemClock clock;
    const std::string path = database_path(config);
    auto tried = store::try_migration(path, clock);
    if (!tried) return complain(tried.error().while_doing("migrate"));
    const bool is_needed = tried->from != tried->to;
    if (!is_needed) tell(fmt::format("schema {} is this program's: nothing to do", tried->from));
    if (is_needed && only_try)
        tell(fmt::format("schema {} would become {}: tried on a copy, and that one is sound",
                         tried->from, tried->to));
    if (!is_needed || only_try) return 0;
    // To open it is to migrate it.
    auto opened = open_database(config, clock);
    if (!opened) return complain(opened.error());
    tell(fmt::format("schema {} became {}; {}.schema-{} is as it was before", tried->from,
                     tried->to, path, tried->from));
    return 0;
}

}  // namespace cvlan::controller
