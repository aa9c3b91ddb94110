"""Facts that come before their company's configuration, however many, keep neither it nor other partitions out."""

from shared.bus.partitioner import partition_of
from shared.events.catalogue import PARTITIONS
from shared.events.control import CompanyConfigured
from tests.broker.conftest import Cluster
from tests.builders import event
from tests.store.runtime.toy import contact

WAITING, MORE = 2_000, 600


def configured(company: str) -> CompanyConfigured:
    return CompanyConfigured(
        company=company, name=company, base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB"
    )


def accounts(company: str, partitions: range) -> list[str]:
    """Ids of 300 that fall into these partitions."""
    names = [f"{company}-{n}" for n in range(300)]
    return [name for name in names if partition_of(f"{company}/{name}".encode(), PARTITIONS) in partitions]


async def waiting(cluster: Cluster, partition: int, count: int) -> None:
    names = accounts("later", range(partition, partition + 1))
    await cluster.send([event(contact(names[n % len(names)], company="later")) for n in range(count)])


async def test_full_partitions_of_a_company_that_is_not_configured_keep_nothing_else_out(cluster: Cluster) -> None:
    """More than a batch holds waits in one partition, then in eleven; the twelfth and `ar.control` are read on."""
    await waiting(cluster, 0, WAITING)
    cluster.member(0)
    await cluster.send([event(configured("acme"))])
    others = accounts("acme", range(1, PARTITIONS))
    await cluster.send([event(contact(name)) for name in others])
    await cluster.until_total(len(others), timeout_s=20)

    for partition in range(1, PARTITIONS - 1):
        await waiting(cluster, partition, MORE)
    last = accounts("acme", range(PARTITIONS - 1, PARTITIONS))
    await cluster.send([event(contact(name)) for name in last])
    await cluster.until_total(len(others) + len(last), timeout_s=20)
    assert await cluster.count("toy_account", "account_id like 'later%'") == 0

    await cluster.send([event(configured("later"))])
    everything = len(others) + len(last) + WAITING + (PARTITIONS - 2) * MORE
    await cluster.until_total(everything, timeout_s=60)
    assert await cluster.total() == everything
