#!/bin/bash
#BSUB -J $${job_name}
#BSUB -W $${walltime}
#BSUB -n $${ntasks}
#BSUB -R "span[ptile=$${ppnode}]"
#BSUB -R "rusage[mem=$${memory_per_node}]"
#BSUB -q $${queue}
#BSUB -P $${account}
#BSUB -o job.out
#BSUB -rn
$${options}

export HETERODFT_JOB_START=$(date +%s)
$${pre_rocket}
cd $${folder} || exit 1
exec $${rocket_launch}
