#!/bin/bash
#$ -S /bin/bash
#$ -N $${job_name}
#$ -l h_rt=$${walltime}
#$ -pe $${parallel_environment} $${ntasks}
#$ -l h_vmem=$${memory_per_core}
#$ -q $${queue}
#$ -P $${account}
#$ -cwd
#$ -o job.out
#$ -j y
#$ -r n
#$ -V
$${options}

export HETERODFT_JOB_START=$(date +%s)
$${pre_rocket}
cd $${folder} || exit 1
exec $${rocket_launch}
